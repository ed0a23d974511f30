# The reference documents say what the installed extension does.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Matrix;
use SqlApi;
use Test::More;

my $node = Qms::node('docs');

sub none
{
	my ($test, @found) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @found), '', $test);
	return;
}

# What is in one list and not in the other.
sub only
{
	my ($these, $those) = @_;
	my %those = map { $_ => 1 } @$those;
	return grep { !$those{$_} } @$these;
}

sub query
{
	my ($sql) = @_;
	return split /\n/, $node->safe_psql('postgres', $sql);
}

# sql-api.md
my $doc = slurp_file('contrib-docs/sql-api.md');
my @documented = $doc =~ /^### (\w+)$/mg;
my $member = q{EXISTS (SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
	WHERE d.deptype = 'e' AND e.extname = 'qms' AND d.objid = %s)};
# Functions that have argument names are called by people; the others belong to types, operators and casts.
my @functions = query(sprintf(qq{SELECT DISTINCT p.proname FROM pg_catalog.pg_proc p
	WHERE p.pronamespace = 'qms'::regnamespace AND (p.proargnames IS NOT NULL OR p.provolatile <> 'i') AND $member}, 'p.oid'));
my @relations = query(q{SELECT relname FROM pg_catalog.pg_class
	WHERE relnamespace = 'qms'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'c') AND NOT relispartition});
my @types = query(q{SELECT typname FROM pg_catalog.pg_type
	WHERE typnamespace = 'qms'::regnamespace AND typtype IN ('b', 'd', 'e', 'r') AND typcategory <> 'A'});
cmp_ok(scalar(@functions), '>', 80, 'there are functions');
none('every function, view, table and type is documented', sort(only([ @functions, @relations, @types ], \@documented)));
none('nothing is documented that does not exist', sort(only(\@documented, [ @functions, @relations, @types ])));

my $made = SqlApi::document(sub { $node->safe_psql('postgres', $_[0]) });
utf8::decode($doc);
my @made = split /\n/, $made;
my @doc = split /\n/, $doc;
my ($line) = grep { ($made[$_] // '') ne ($doc[$_] // '') } 0 .. ($#made > $#doc ? $#made : $#doc);
is( defined $line ? sprintf("line %d: %s", $line + 1, $doc[$line] // '') : 'same',
	defined $line ? sprintf("line %d: %s", $line + 1, $made[$line] // '') : 'same',
	'sql-api.md is what test/lib/sql_api.pl makes of the extension now');

# security.md: the matrix is the table of the extension, the queries for the DBA run.
my $security = slurp_file('contrib-docs/security.md');
is(Matrix::of_document($security), Matrix::table(sub { $node->safe_psql('postgres', $_[0]) }), 'security.md has the matrix of now: see test/lib/matrix.pl');
my ($glance) = $security =~ /## At a glance, for a DBA\n\n```sql\n(.*?)```/s;
my ($rc, $out, $err) = $node->psql('postgres', $glance // 'nothing');
is("$rc$err", '0', 'security.md: the queries for the DBA run');

# states.md: table and diagram against the trigger, which is asked for each pair of states.
my $states = slurp_file('contrib-docs/states.md');
$node->safe_psql('postgres', q{
	CREATE FUNCTION allows(was text, next text) RETURNS boolean LANGUAGE plpgsql AS $$
	DECLARE
		id bigint;
	BEGIN
		INSERT INTO qms.ticket (organization_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce, hold_kind, counter_id)
			VALUES (1, 1, 1, 1, was, now(), 1, now(), now(), 1, CASE WHEN was = 'on_hold' THEN 'staff' END, CASE WHEN was IN ('called', 'serving') THEN 1 END)
			RETURNING ticket_id INTO id;
		UPDATE qms.ticket SET state = next, hold_kind = CASE WHEN next = 'on_hold' THEN 'staff' END, counter_id = CASE WHEN next IN ('called', 'serving') THEN 1 END
			WHERE ticket_id = id;
		RAISE SQLSTATE '00001';
	EXCEPTION
		-- A finished state passes the trigger and stops at the table's check: it belongs into history.
		WHEN SQLSTATE '00001' OR check_violation THEN RETURN true;
		WHEN SQLSTATE 'QM401' THEN RETURN false;
	END $$});
my @pairs = query(q{
	WITH state AS (SELECT unnest('{booked,waiting,called,serving,on_hold,released,admitted}'::text[]) AS name),
		finished AS (SELECT unnest('{completed,no_show,cancelled,expired,revoked}'::text[]) AS name)
	SELECT w.name || ' -> ' || n.name FROM state w, (TABLE state UNION ALL TABLE finished) n WHERE w.name <> n.name AND allows(w.name, n.name)});
cmp_ok(scalar(@pairs), '>', 20, 'the trigger was asked');
my %state = map { $_ => 1 } map { split / -> / } @pairs;

my %listed;
my (@rows) = $states =~ /^\| (\w+) \| (\w+) \| (.*?) \| (.*?) ?\|$/mg;
my (@unknown, @events);
while (my ($from, $to, $function, $event) = splice @rows, 0, 4)
{
	next unless $state{$from} && $state{$to};
	$listed{"$from -> $to"} = 1 if $from ne $to;
	push @unknown, grep { !/^not_arrived$/ } only([ $function =~ /`(\w+)`/g ], \@functions);
	push @events, $event =~ /(\w+\.\w+)/g;
}
none('states.md: every transition of the trigger is in the table', sort(only(\@pairs, [ keys %listed ])));
none('states.md: no other is', sort(only([ keys %listed ], \@pairs)));
none('states.md: the functions of the table exist', sort @unknown);
none('states.md: the events of the table are of tickets', grep { !/^ticket\.\w+$/ } @events);
my @drawn = map { s/ --> / -> /r } $states =~ /^\s+(\w+ --> \w+)$/mg;
none('states.md: the diagram shows every transition', sort(only(\@pairs, \@drawn)));
none('states.md: and no other', sort(only(\@drawn, \@pairs)));

# The table of C itself, by its bits.
my $c = slurp_file('src/queue/state.c');
my @coded;
while ($c =~ /\[QMS_(\w+)\]\s*=\s*\{"(\w+)",(.*?)\}/sg)
{
	my ($name, $next) = (lc $1, $3);
	push @coded, map { "$name -> " . lc } $next =~ /TO\(QMS_(\w+)\)/g;
	push @coded, "$name -> cancelled" if $next =~ /ENDS_BY_CANCEL/;
}
none('state.c allows what the trigger allows', sort(only(\@coded, \@pairs)), sort(only(\@pairs, \@coded)));

done_testing();
