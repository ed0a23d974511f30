#!/usr/bin/perl
# sql_api.pl PSQL-OPTION...: print contrib-docs/sql-api.md, from a database with the extension just built.
#
#   perl test/lib/sql_api.pl -h /tmp -U postgres -d DB > contrib-docs/sql-api.md
use strict;
use warnings;

use lib 'test/lib';
use SqlApi;

my @psql = ('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', @ARGV);

binmode STDOUT, ':utf8';
print SqlApi::document(
	sub {
		my ($sql) = @_;
		open my $out, '-|', @psql, '-c', $sql or die "psql: $!";
		local $/;
		my $answer = <$out>;
		close $out or die "psql failed\n";
		return $answer;
	});
