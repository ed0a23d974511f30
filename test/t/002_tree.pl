# What a release must hold, read from the tree itself.
use strict;
use warnings;

use File::Find;
use PostgreSQL::Test::Utils;
use Test::More;

# Every text file of ours, without what a build or a test run leaves.
my @files;
find(
	{
		no_chdir => 1,
		wanted => sub {
			my $path = s{^\./}{}r;
			$File::Find::prune = 1
			  if -d && $path =~ m{^(?:\.git|\.demo|\.bench|log|results|output_iso|tmp_check\w*|test/bench/out)$|(?:^|/)(?:node_modules|__pycache__)$};
			push @files, $path if -f && !-l && -T && $path !~ m{^sql/qms--[^-]+\.sql$|^regression\.};
		}
	},
	'.');
my %text = map { $_ => slurp_file($_) } @files;
my @src = sort grep { m{^src/} } @files;
my @c = grep { m{\.[ch]$} } @src;
cmp_ok(scalar(@c), '>', 0, 'there are sources');

# A check's findings as one test: none, or the list of them.
sub none
{
	my ($test, @found) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @found), '', $test);
	return;
}

sub line_of
{
	my ($text, $offset) = @_;
	return 1 + (substr($text, 0, $offset) =~ tr/\n//);
}

# The version.
my ($version) = $text{'qms.control'} =~ /^default_version\s*=\s*'([^']+)'/m;
ok($version, 'qms.control names the version');
none(
	'the version is written in qms.control only',
	grep { $text{$_} =~ /(?<![\w.])\Q$version\E(?![\w]|\.\d)/ }
	# upgrade scripts and the change log are about versions
	grep { !m{^(?:qms\.control$|sql/|contrib-docs/CHANGELOG\.md$)} } @files);

# Sizes.
none('no file of src is longer than 500 lines',
	map { my $n = $text{$_} =~ tr/\n//; $n > 500 ? "$_: $n" : () } @src);

# Exported symbols: PostgreSQL loads every module into one name space.  A build with sanitizers
# or for coverage has others.
my $so = -e 'qms.so' ? 'qms.so' : do
{
	chomp(my $dir = `pg_config --pkglibdir`);
	"$dir/qms.so";
};
my @symbols = map { (split)[-1] } `nm -D --defined-only $so`;
SKIP:
{
	skip 'instrumented build', 1 if grep { /^__(?:asan|odr|ubsan|gcov)/ } @symbols, `nm -D $so` =~ /\b(__\w+)/g;
	none('qms.so exports nothing without the prefix qms_',
		grep { !/^(?:qms_|pg_finfo_qms_)\w+$|^(?:Pg_magic_func|_PG_init)$/ } @symbols);
}
ok(scalar(grep { $_ eq 'Pg_magic_func' } @symbols), 'nm did read qms.so');

# Errors: clients branch on the SQLSTATE, so every one has its own.
my $call = qr/(\((?:[^()"']++|"(?:\\.|[^"\\])*+"|'(?:\\.|[^'\\])*+'|(?1))*+\))/s;
my (@bare, $reports);
foreach my $file (grep { !m{^src/gateway/} } @c)
{
	# comments away, lines kept
	(my $code = $text{$file}) =~ s{("(?:\\.|[^"\\])*")|(/\*.*?\*/|//[^\n]*)}
		{ defined $1 ? $1 : $2 =~ tr/\n//cdr }gesx;
	while ($code =~ /\b(?:ereport|ereturn|errsave)\w*\s*$call/g)
	{
		my ($arguments, $line) = ($1, line_of($code, $-[0]));
		next if $arguments =~ /^\(\s*(?:LOG|LOG_SERVER_ONLY|COMMERROR|DEBUG[1-5]|INFO|NOTICE|WARNING)\b/;
		$reports++;
		push @bare, "$file:$line" unless $arguments =~ /\berrcode\w*\s*\(/;
	}
}
none('every ereport(ERROR) has an SQLSTATE', @bare);
note(($reports || 0) . ' reports read');

# Who may include what.
my (@network, @server);
foreach my $file (@c)
{
	while ($text{$file} =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/mg)
	{
		my ($header, $line) = ($1, line_of($text{$file}, $-[0]));
		push @network, "$file:$line $header"
		  if $header =~ m{^(?:libwebsockets|uv|libpq-fe)\b|(?:^|/)libpq-fe\.h$} && $file !~ m{^src/gateway/};
		push @server, "$file:$line $header"
		  if $header =~ m{^(?:postgres|fmgr)\.h$} && $file =~ m{^src/gateway/};
	}
}
none('libwebsockets, libuv and libpq stay inside src/gateway', @network);
none('the server stays outside src/gateway', @server);

# Our SQLSTATEs.
my (%code, @twice);
while ($text{'src/errors.h'} =~ /^#define\s+(ERRCODE_\w+)\s+MAKE_SQLSTATE\(([^)]*)\)/mg)
{
	# Copied first: the match below sets $1 anew.
	my ($name, $letters) = ($1, $2);
	my $state = join('', $letters =~ /'(.)'/g);
	push @twice, "$state: $name, $code{$state}" if $code{$state};
	$code{$state} = $name;
}
none('no SQLSTATE has two names', @twice);
none('SQLSTATEs are of class QM', grep { !/^QM\d{3}$/ } sort keys %code);
SKIP:
{
	my $doc = 'contrib-docs/sql-api.md';
	skip "$doc is not there yet", 2 unless exists $text{$doc};
	my %named = map { $_ => 1 } $text{$doc} =~ /\b(QM\d{3})\b/g;
	none("$doc names every SQLSTATE", grep { !$named{$_} } sort keys %code);
	none("$doc names no other", grep { !$code{$_} } sort keys %named);
}

done_testing();
