# No personal data in clear: not in a dump, not in the files of tables and indexes, not in the WAL, not
# in events, not in the server's log, also when calls fail.  What is looked for was planted with bound
# parameters, as programs do; a statement with literals is logged as its author wrote it.
use strict;
use warnings;

use File::Find;
use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $node = Qms::node('personal', 'log_statement = none', 'wal_level = logical', 'max_connections = 20');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

# What is planted, and what must be found of a ticket that is not personal: else nothing was looked at.
my %planted = (phone => '+49 170 5550417', mail => 'planted.person@example.org', name => 'Aurelia Plantagenet', other => '+49 171 9990418', subject_free => 'Cornelius Planted');
my @pieces = ('5550417', '555 0417', 'planted.person', 'Plantagenet', 'plantagenet', 'Aurelia', '9990418', 'Cornelius');
my $control = 'plain-control-word';

$ask->(q{SELECT organization_id FROM qms.create_organization('City'); SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT queue_id FROM qms.create_queue('Q', 1, settings => '{"undo_window": "10 min"}'); SELECT queue_id FROM qms.create_queue('R', 1); SELECT qms.close_queue(2); SELECT counter_id FROM qms.create_counter(1, 'One', '{1}'); SELECT qms.open_counter(1)});

# One statement by pgbench, every value as a bound parameter; answers its exit code and what it printed.
my $place = PostgreSQL::Test::Utils::tempdir();
sub call
{
	my ($sql, %value) = @_;
	my ($out, $err) = ('', '');

	append_to_file("$place/$_", '') foreach 'call.sql';
	unlink "$place/call.sql";
	append_to_file("$place/call.sql", "$sql;\n");
	IPC::Run::run([ "$bin/pgbench", '-n', '-t', 1, '-M', 'extended', (map { ('-D', "$_=$value{$_}") } sort keys %value), '-f', "$place/call.sql", $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	return ($? >> 8, $err);
}

sub works
{
	my ($test, @call) = @_;
	my ($rc, $err) = call(@call);

	return is($rc, 0, $test) || diag($err);
}

sub fails
{
	my ($test, $like, @call) = @_;
	my ($rc, $err) = call(@call);

	return like($err, $like, $test);
}

my $contact = qq({"phone": "$planted{phone}", "mail": "$planted{mail}"});
my $join = q{SELECT ticket_id FROM qms.join_queue(queue_id => :q, contact => (:contact)::jsonb, metadata => (:metadata)::jsonb, request_id => gen_random_uuid())};
works('joins', $join, q => 1, contact => $contact, metadata => qq({"word": "$control"})) for 1 .. 3;
works('a further ticket of a visit', q{SELECT FROM (SELECT token FROM qms.join_queue(queue_id => 1, contact => (:contact)::jsonb)) j, LATERAL qms.join_queue(queue_id => 1, contact => (:contact)::jsonb, visit_token => j.token::text)},
	contact => $contact);
works('called, with a request_id', q{SELECT FROM qms.call_next(1, request_id => gen_random_uuid())});
works('changed', q{SELECT FROM qms.update_ticket(1, contact => (:contact)::jsonb, request_id => gen_random_uuid())}, contact => qq({"phone": "$planted{other}"}));
works('completed, to history', q{SELECT FROM qms.complete_service(1, request_id => gen_random_uuid())});
works('undone, back again', q{SELECT FROM qms.undo(1)});
works('held and resumed', q{SELECT FROM qms.hold_ticket(1) h, LATERAL qms.resume_ticket(h.ticket_id)});
works('a customer', q{SELECT FROM qms.create_customer(1, (:name)::text, (:contact)::jsonb, external_subject => 'S-1', request_id => gen_random_uuid())}, name => $planted{name}, contact => $contact);
works('changed', q{SELECT FROM qms.update_customer(1, (:name)::text, (:contact)::jsonb, request_id => gen_random_uuid())}, name => $planted{subject_free}, contact => $contact);
works('looked for', q{SELECT FROM qms.find_customers(1, (:query)::text) a, qms.find_tickets(1, (:query)::text) b}, query => $planted{phone});
works('looked for by a piece', q{SELECT FROM qms.find_customers(1, (:query)::text)}, query => 'Cornelius');
is($ask->(q{SELECT name || ' ' || (contact->>'mail') FROM qms.get_customer(1)}), "$planted{subject_free} $planted{mail}", 'it is all there for whoever may see it');

# Calls that fail, in as many places as there are.
fails('a closed queue', qr/does not take tickets|closed/, $join, q => 2, contact => $contact, metadata => '{}');
fails('no queue', qr/does not exist/, $join, q => 99, contact => $contact, metadata => '{}');
fails('a subject in use', qr/already in use/, q{SELECT FROM qms.create_customer(1, (:name)::text, (:contact)::jsonb, external_subject => 'S-1')}, name => $planted{name}, contact => $contact);
fails('no customer', qr/does not exist/, q{SELECT FROM qms.update_customer(9, (:name)::text, (:contact)::jsonb)}, name => $planted{name}, contact => $contact);
fails('a name of two lines', qr/one line/, q{SELECT FROM qms.create_customer(1, (:name)::text || chr(10) || 'x')}, name => $planted{name});
fails('no token', qr/not valid/, q{SELECT FROM qms.join_queue(queue_id => 1, contact => (:contact)::jsonb, visit_token => 'x')}, contact => $contact);
fails('an id that is there already', qr/duplicate key|already exists/, q{WITH e AS (SELECT setval('qms.ticket_ticket_id_seq', 1)) SELECT FROM e, LATERAL qms.join_queue(queue_id => 1 + setval::int - 1, contact => (:contact)::jsonb)}, contact => $contact);
$ask->(q{SELECT setval('qms.ticket_ticket_id_seq', 1000); UPDATE qms.customer SET contact = jsonb_set(contact, '{sealed}', to_jsonb(overlay(contact->>'sealed' placing 'AAAA' from 12)))});
fails('a damaged value', qr/damaged/, q{SELECT FROM qms.get_customer(1)});
# A failing row is shown as it is stored.
fails('a check of a table', qr/violates check constraint/, q{UPDATE qms.ticket SET hold_kind = 'x' WHERE contact IS NOT NULL});
works('a new name', q{SELECT FROM qms.update_customer(1, (:name)::text, (:contact)::jsonb)}, name => $planted{name}, contact => $contact);

# What a reader of the files, the stream of changes or a backup gets.
sub seen
{
	my ($text) = @_;
	return join(' ', grep { index($text, $_) >= 0 } @pieces);
}

command_ok([ "$bin/pg_dump", '-f', "$place/plain", $node->connstr('postgres') ], 'pg_dump');
my $dump = slurp_file("$place/plain");
is(seen($dump), '', 'nothing in the dump');
like($dump, qr/$control/, 'which has been read');
is(seen($ask->(q{SELECT e::text FROM qms.event e})), '', 'nothing in the event log');
is(seen($ask->(q{SELECT r::text FROM qms_internal.request r})), '', 'nor in the stored answers');
is(seen(slurp_file($node->logfile)), '', 'nor in the log of the server');
like(slurp_file($node->logfile), qr/ERROR:  customer\.contact of customer 1 is damaged/, 'which has the errors');

sub in_files
{
	my ($folder) = @_;
	my ($found, $controls) = ('', 0);

	find({ no_chdir => 1, wanted => sub {
		return unless -f && -r;
		my $text = slurp_file($_);
		my $here = seen($text);
		$found .= "$_: $here\n" if $here ne '';
		$controls++ if index($text, $control) >= 0;
	} }, $folder);
	return ($found, $controls);
}
my $oid = $ask->(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
$ask->(q{CHECKPOINT});
my ($found, $controls) = in_files($node->data_dir . "/base/$oid");
is($found, '', 'nothing in the files of tables and indexes');
cmp_ok($controls, '>', 0, 'which have been read');
$ask->(q{SELECT pg_switch_wal()});
($found, $controls) = in_files($node->data_dir . '/pg_wal');
is($found, '', 'nothing in the WAL');
cmp_ok($controls, '>', 0, 'which has been read');
# Temporary files, statistics, the crash's leavings: all of the cluster.
$node->stop;
($found) = in_files($node->data_dir);
is($found, '', 'nothing anywhere in the data directory');
$node->start;

# The dump restored elsewhere: the log of events is guarded there too, and what was sealed opens with the keys of the dump.
$node->safe_psql('postgres', 'CREATE DATABASE again');
command_ok([ "$bin/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', "$place/out", '-f', "$place/plain", '-d', $node->connstr('again') ], 'restored');
is($node->safe_psql('again', q{SELECT name FROM qms.get_customer(1)}), $planted{name}, 'and opened there: the keys are in the dump as well');
my $triggers = q{SELECT string_agg(tgrelid::regclass || ' ' || tgname, ', ' ORDER BY tgrelid::regclass::text, tgname) FROM pg_trigger WHERE tgname ~ '^guard_event'};
is($node->safe_psql('again', $triggers), $ask->($triggers), 'its events are guarded as here');
Qms::fails_with($node, q{\c again
DELETE FROM qms.event}, 'QM415', 'nobody removes one');

$node->stop;
done_testing();
