#!/usr/bin/perl
# matrix.pl PSQL-OPTION...: put the matrix of qms.permission into contrib-docs/security.md.
#
#   perl test/lib/matrix.pl -h /tmp -U postgres -d DB
use strict;
use warnings;

use lib 'test/lib';
use Matrix;

my @psql = ('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', @ARGV);
my $file = 'contrib-docs/security.md';

my $table = Matrix::table(
	sub {
		open my $out, '-|', @psql, '-c', $_[0] or die "psql: $!";
		local $/;
		my $answer = <$out>;
		close $out or die "psql failed\n";
		return $answer;
	});
open my $in, '<', $file or die "$file: $!";
my $document = do { local $/; <$in> };
my $was = Matrix::of_document($document) or die "$file has no place for the matrix\n";
substr($document, index($document, $was), length $was) = $table;
open my $out, '>', $file or die "$file: $!";
print $out $document;
close $out or die "$file: $!";
