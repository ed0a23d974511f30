# What limits and keys do between sessions: counted once whoever asks, kept over rollbacks and crashes of sessions,
# bounded; without shared memory; and when keys were used last.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $setup = q{
	CREATE ROLE web LOGIN;
	GRANT qms_authenticator, qms_customer, qms_app, qms_kiosk TO web;
	CREATE ROLE plain LOGIN;
	GRANT qms_customer TO plain;
	SELECT FROM qms.create_organization('City', settings => '{"limit_join_subject": "40/1 h", "limit_join_address": "6/1 h", "limit_create": "off"}');
	SELECT FROM qms.create_branch(1, 'Hall');
	SELECT FROM qms.create_queue('A', 1, settings => '{"max_number": 999999}');
	SELECT FROM qms.create_application(1, 'Shop');
	SELECT FROM qms.bind_role('plain', 1, 'customer');
	CREATE FUNCTION passes(n int, statement text) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		passed int = 0;
	BEGIN
		FOR i IN 1..n LOOP
			BEGIN
				EXECUTE replace(statement, '%', i::text);
				passed := passed + 1;
			EXCEPTION WHEN SQLSTATE 'QM220' THEN NULL;
			END;
		END LOOP;
		RETURN passed;
	END $$};
my $join = q{SELECT FROM qms.join_queue(1, subject => 'ann')};
my $node;

sub ask
{
	my ($sql, @option) = @_;
	return $node->safe_psql('postgres', $sql, @option);
}

sub at_once
{
	my ($n, $sql) = @_;
	my @sessions = map { Session->new($node, 'user=web') } 1 .. $n;

	$_->tell($sql) foreach @sessions;
	my $sum = 0;
	$sum += $_->answer foreach @sessions;
	$_->end foreach @sessions;
	return $sum;
}

sub as
{
	my ($user, $sql, %option) = @_;
	return $node->safe_psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$user" . join('', map { " $_=$option{$_}" } keys %option));
}

# With shared memory.
$node = Qms::node('shared', 'qms.limit_buckets = 1024');
ask($setup);
is(at_once(8, "SELECT passes(25, \$\$$join\$\$)"), 40, 'eight sessions at once: as many as the limit says, not one more');
my $session = Session->new($node, 'user=web');
$session->ask("BEGIN; SELECT set_config('qms.client_address', '203.0.113.1', true); SELECT passes(6, 'SELECT FROM qms.join_queue(1)')");
$session->gone;
is(as('web', "BEGIN; SELECT passes(3, 'SELECT FROM qms.join_queue(1)') FROM set_config('qms.client_address', '203.0.113.1', true)"), '0', 'what a session took that went away is taken');
# Many others, four times as many as there are buckets, take nothing from one that is empty.
is(as('web', "SELECT passes(4000, \$\$SELECT FROM qms.join_queue(1, subject => 'other %', language => 'de')\$\$)"), '4000', 'four thousand others');
is(as('web', "SELECT passes(40, \$\$$join\$\$)"), '0', 'do not fill an empty bucket');
like(ask('SELECT passes(1, $$SELECT FROM qms.join_queue(1)$$)'), qr/^1$/, 'who acts directly is not counted');

# Addresses of real connections.
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
my $hba = $node->data_dir . '/pg_hba.conf';
append_to_file($hba, "host all all 127.0.0.1/32 trust\n");
$node->restart;
my %tcp = (hostaddr => '127.0.0.1', host => '127.0.0.1');
is(as('plain', 'SELECT qms.my_address()', %tcp), '127.0.0.1', 'a plain session is where its connection comes from');
is(as('plain', "SELECT set_config('request.headers', '{\"x-forwarded-for\": \"203.0.113.9\"}', false) <> '', set_config('qms.client_address', '203.0.113.9', false) <> '', qms.my_address()", %tcp),
	't|t|127.0.0.1', 'whatever it says');
is(as('web', 'SELECT coalesce(host(qms.my_address()), $$nobody knows$$)', %tcp), 'nobody knows', 'that of a web server is not its visitors\'');
my $forwarded = q{SELECT set_config('request.headers', '{"x-forwarded-for": "198.51.100.1, 203.0.113.9"}', false) <> '', coalesce(host(qms.my_address()), 'nobody knows')};
is(as('web', $forwarded, %tcp), 't|nobody knows', 'a proxy that is not trusted is not believed');
ask(q{ALTER ROLE web SET qms.trusted_proxies = '127.0.0.0/8'});
is(as('web', $forwarded, %tcp), 't|203.0.113.9', 'one that is, is');
is(as('web', $forwarded), 't|nobody knows', 'from there only');
is(as('plain', q{SELECT passes(10, 'SELECT FROM qms.join_queue(1)')}, %tcp), '6', 'limits count by the address of the connection');

# A key in a statement that fails is not in the log.
my $offset = -s $node->logfile;
my $key = ask(q{SELECT key FROM qms.create_api_key(1, 'web')});
$node->psql('postgres', "SELECT * FROM qms.authenticate_api_key('${key}x')");
$node->psql('postgres', "SELECT * FROM qms.exchange_device_key('$key')");
my $log = substr(slurp_file($node->logfile), $offset);
# (The test cluster logs every statement as it comes; what counts is that the error adds none.)
unlike($log, qr/STATEMENT:.*\Q$key\E/, 'an error does not log the statement with the key');
$node->stop;

# Used last: noted in shared memory, written by the scheduler a minute later.
$node = Qms::node('seen', 'qms.workers = on', "qms.mock_now = '2030-01-07 09:00+00'");
ask($setup);
my $clock = Clock->new($node);
$clock->at('2030-01-07 09:00:00+00');
$key = ask(q{SELECT key FROM qms.create_api_key(1, 'web')});
my $used = q{SELECT coalesce(to_char(last_used_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), 'never') FROM qms.api_keys};
ask("BEGIN READ ONLY; SELECT FROM qms.authenticate_api_key('$key'); COMMIT");
$clock->settle;
is(ask($used), 'never', 'nobody writes at once');
$clock->at('2030-01-07 09:00:40+00');
ask("SELECT FROM qms.authenticate_api_key('$key')");
$clock->at('2030-01-07 09:00:59+00');
is(ask($used), 'never', 'nor before a minute has passed');
$clock->at('2030-01-07 09:01:00+00');
is(ask($used), '09:00:40', 'then the last use, also of a transaction that was read only');
ask("BEGIN; SELECT FROM qms.authenticate_api_key('$key'); ROLLBACK");
$clock->at('2030-01-07 10:00:00+00');
is(ask($used), '09:01:00', 'and of one that rolled back');
ok($clock->idle, 'after that nobody wakes up for it');
$node->stop;

# Without shared memory: rows of a table.
$node = Qms::node('alone', { preload => 0 });
ask($setup);
is(as('web', "SELECT passes(60, \$\$$join\$\$)"), '40', 'not preloaded: the same limit');
is(as('web', "SELECT passes(9, 'SELECT FROM qms.join_queue(1)') FROM set_config('qms.client_address', '203.0.113.1', false)"), '6', 'by address too');
is(ask("SELECT count(*), bool_and(octet_length(bucket) = 16) FROM qms_internal.limit_bucket"), '2|t', 'one row for each');
is(as('web', "BEGIN; SELECT passes(6, 'SELECT FROM qms.join_queue(1)') FROM set_config('qms.client_address', '203.0.113.2', true); ROLLBACK; SELECT passes(6, 'SELECT FROM qms.join_queue(1)') FROM set_config('qms.client_address', '203.0.113.2', false)"),
	"6\n6", 'a rollback gives back');
$session = Session->new($node, 'user=web');
$session->ask("SELECT set_config('qms.client_address', '203.0.113.3', false); BEGIN; SELECT passes(6, 'SELECT FROM qms.join_queue(1)')");
is(as('web', "SET lock_timeout = '100ms'; SELECT error FROM qms.pair_device('AAAA-AAAA')"), 'invalid_code', 'others are not in the way');
$session->ask('COMMIT');
is(as('web', "SELECT passes(3, 'SELECT FROM qms.join_queue(1)') FROM set_config('qms.client_address', '203.0.113.3', false)"), '0', 'and what was committed counts');
$session->end;
# A join passes a bucket that another transaction has; a try at a code waits for it.
my $holder = Session->new($node);
$holder->ask('BEGIN; SELECT count(*) FROM (SELECT FROM qms_internal.limit_bucket FOR UPDATE) x');
is(as('web', "SET lock_timeout = '2s'; SELECT passes(1, \$\$$join\$\$)"), '1', 'a join does not wait for a bucket');
is(as('web', "SELECT error FROM set_config('qms.client_address', '203.0.113.7', false), qms.pair_device('BBBB-AAAB')"), 'invalid_code', 'a first try makes its own');
$holder->ask('ROLLBACK; BEGIN; SELECT count(*) FROM (SELECT FROM qms_internal.limit_bucket FOR UPDATE) x');
my ($rc, $out, $err) = $node->psql('postgres', "SET lock_timeout = '100ms'; SELECT set_config('qms.client_address', '203.0.113.7', false); SELECT error FROM qms.pair_device('BBBB-AAAB')",
	connstr => $node->connstr('postgres') . ' user=web');
like($err, qr/lock timeout/, 'a second one at the same time waits for the first');
$holder->end;
# Rows that say nothing any more go.
ask(q{UPDATE qms_internal.limit_bucket SET full_at = now() - interval '1 day'});
my $before = ask('SELECT count(*) FROM qms_internal.limit_bucket');
as('web', q{SELECT passes(3, $$SELECT FROM qms.join_queue(1, subject => 'new %')$$)});
cmp_ok(ask('SELECT count(*) FROM qms_internal.limit_bucket'), '<=', $before, 'old rows go as new ones come');
is(ask("BEGIN READ ONLY; SELECT passes(1, 'SELECT FROM qms.queue_status(1)'); COMMIT"), '1', 'what only reads is not in the way');
$key = ask(q{SELECT key FROM qms.create_api_key(1, 'web')});
is(ask("SELECT last_used_at FROM qms.api_keys"), '', 'a key that was not used');
ask("SELECT FROM qms.authenticate_api_key('$key')");
is(ask('SELECT last_used_at > now() - interval $$1 hour$$ FROM qms.api_keys'), 't', 'and was: written by its own transaction');
ok(ask('SELECT relpersistence FROM pg_class WHERE oid = $$qms_internal.limit_bucket$$::regclass') eq 'u', 'buckets are unlogged');
$node->stop;

done_testing();
