# Logins in several sessions at once: who waits for whom, what is ended, and that everybody learns of it.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('login');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my ($a, $b) = map { Session->new($node) } 1 .. 2;

$ask->(q{SELECT FROM qms.create_organization('One');
	SELECT FROM qms.create_staff(1, 'ada', role => 'admin'); SELECT qms.set_password(1, 'correct horse battery');
	SELECT FROM qms.create_staff(1, 'bob'); SELECT qms.set_password(2, 'correct horse battery');
	CREATE ROLE web LOGIN NOINHERIT; GRANT qms_authenticator, qms_customer, qms_admin, qms_servicer TO web});
my $login = sub { return "SELECT concat_ws(' ', coalesce(error, 'in'), retry_after) FROM qms.login('$_[0]', '" . ($_[1] // 'correct horse battery') . "')" };
my $tokens = sub { return split /\|/, $ask->("SELECT access_token, refresh_token FROM qms.login('$_[0]', 'correct horse battery')") };
my $refresh = sub { return "SELECT coalesce(error, 'good') FROM qms.refresh('$_[0]')" };
# The other session waits for a lock.
my $waits = sub {
	my ($test) = @_;
	return Qms::wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, $test);
};

# ---- attempts at one name do not run beside one another, and nobody queues up
$a->ask('BEGIN');
is($a->ask($login->('ada', 'wrong')), 'invalid_credentials', 'an attempt, not committed');
is($b->ask($login->('ada', 'wrong')), 'too_many_attempts 1', 'another one of that name comes too early');
is($b->ask($login->('bob')), 'in', 'one of another name does not');
$a->ask('ROLLBACK');
is($b->ask($login->('ada')), 'in', 'afterwards it may');

# ---- who logs in with the old password while another one is set
$a->ask('BEGIN');
is($a->ask($login->('ada')), 'in', 'a login, not committed');
$b->tell(q{SELECT qms.set_password(1, 'another horse battery')});
$waits->('a new password waits for it');
$a->ask('COMMIT');
$b->answer;
is($ask->('SELECT count(*) FROM qms_internal.login_session WHERE staff_id = 1 AND revoked_at IS NULL'), '0', 'and ends it');
$a->ask('BEGIN');
$a->ask(q{SELECT qms.set_password(1, 'correct horse battery')});
$b->tell($login->('ada', 'another horse battery'));
$waits->('a login with the old password waits for the new one');
$a->ask('COMMIT');
is($b->answer, 'invalid_credentials', 'and fails');

# ---- the same with an account that is disabled, and from an older transaction
$a->ask('BEGIN');
is($a->ask($login->('bob')), 'in', 'a login, not committed');
$b->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
$b->ask('SELECT count(*) FROM qms.staff');
$b->tell('SELECT disabled_at IS NOT NULL FROM qms.disable_staff(2)');
$waits->('who disables the account waits for it');
$a->ask('COMMIT');
is($b->answer, 't', 'and disables it');
$b->ask('COMMIT');
is($ask->('SELECT count(*) FROM qms_internal.login_session WHERE staff_id = 2 AND revoked_at IS NULL'), '0', 'and ends it, though its transaction began before');
$ask->('SELECT FROM qms.enable_staff(2)');

# ---- two with the same refresh token
my (undef, $first) = $tokens->('bob');
$a->ask('BEGIN');
is($a->ask($refresh->($first)), 'good', 'refresh, not committed');
$b->tell($refresh->($first));
$waits->('a second with the same token waits');
$a->ask('COMMIT');
is($b->answer, 'token_reused', 'and finds it used');
is($ask->('SELECT count(*) FROM qms_internal.login_session WHERE staff_id = 2 AND revoked_at IS NULL'), '0', 'the login has ended');
(undef, $first) = $tokens->('bob');
$a->ask('BEGIN');
$a->ask($refresh->($first));
$b->tell($refresh->($first));
$waits->('again');
$a->ask('ROLLBACK');
is($b->answer, 'good', 'but the first one did not commit');

# ---- one code, two at a time
$ask->(q{SELECT qms.request_otp('ada@city.example')});
my $code = $ask->(q{SELECT t.secret FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t});
my $verify = "SELECT coalesce(error, 'in') FROM qms.verify_otp('ada\@city.example', '$code')";
$a->ask('BEGIN');
is($a->ask($verify), 'in', 'a code is used');
is($b->ask($verify), 'too_many_attempts', 'at the same time it is too early');
$a->ask('COMMIT');
is($b->ask($verify), 'invalid_code', 'and then too late');

# ---- a token on its way is taken once; one that could not be delivered may be taken again
$ask->(q{SELECT qms.request_password_reset('ada')});
my $id = $ask->('SELECT max(secret_delivery_id) FROM qms_internal.secret_delivery');
my $take = "SELECT count(*) FROM qms.take_secret($id)";
$a->ask('BEGIN');
is($a->ask($take), '1', 'taken');
$b->tell($take);
$waits->('another one waits');
$a->ask('ROLLBACK');
is($b->answer, '1', 'and has it when the first one failed');
is($a->ask($take), '0', 'then it is gone');

# ---- without sealing it waits in clear
$ask->('ALTER SYSTEM SET qms.seal_personal_data = off');
$node->reload;
Qms::wait_for($node, 'SHOW qms.seal_personal_data', 'personal data is not sealed', 'off');
$ask->(q{SELECT qms.request_otp('dora@city.example')});
is($ask->(q{SELECT convert_from(message, 'UTF8') ~ 'dora@city.example' FROM qms_internal.secret_delivery ORDER BY secret_delivery_id DESC LIMIT 1}), 't', 'the contact is in clear');
is($ask->(q{SELECT t.recipient, secret ~ '^\d{6}$' FROM (SELECT max(secret_delivery_id) AS id FROM qms_internal.secret_delivery) d, qms.take_secret(d.id) t}), 'dora@city.example|t', 'and is taken as ever');
$ask->('ALTER SYSTEM RESET qms.seal_personal_data');
$node->reload;

# ---- sessions that remember who calls learn of the end of a login
my $web = Session->new($node, 'user=web');
my ($access) = $tokens->('ada');
my $claims = $ask->("SELECT claims FROM qms_internal.jwt_check('jwt', '$access')");
$web->ask("SET request.jwt.claims = '$claims'; SET ROLE qms_admin");
my $who = 'SELECT kind, role FROM qms.current_principal()';
is($web->ask($who), 'staff|admin', 'who comes with an access token');
is($web->ask($who), 'staff|admin', 'and again');
$ask->('SELECT qms.disable_staff(1)');
is($web->ask($who), '', 'disabled: nobody');
like($web->errors, qr/does not belong to any organization/, 'with an error');
$ask->('SELECT qms.enable_staff(1)');
is($web->ask($who), '', 'enabled again: his login has ended all the same');
($access) = $tokens->('ada');
$claims = $ask->("SELECT claims FROM qms_internal.jwt_check('jwt', '$access')");
$web->ask("RESET ROLE; SET request.jwt.claims = '$claims'; SET ROLE qms_admin");
is($web->ask($who), 'staff|admin', 'another login');
$ask->('SELECT qms.set_password(1, \'another horse battery\')');
is($web->ask($who), '', 'a new password ends it');
# by hand too; a request is a transaction
$ask->(q{SELECT qms.set_password(1, 'correct horse battery')});
($access) = $tokens->('ada');
$claims = $ask->("SELECT claims FROM qms_internal.jwt_check('jwt', '$access')");
$web->ask("RESET ROLE; SET request.jwt.claims = '$claims'; SET ROLE qms_admin");
is($web->ask($who), 'staff|admin', 'another login');
$ask->('UPDATE qms_internal.login_session SET revoked_at = now(), revoke_reason = \'by hand\' WHERE revoked_at IS NULL');
is($web->ask($who), '', 'ended by hand');

$ask->("SELECT qms.logout(repeat('A', 43)), qms.logout('nonsense')");
is($ask->('SELECT count(*) FROM qms_internal.login_session WHERE revoke_reason = \'logout\''), '0', 'an unknown token ends nothing');

# ---- the cost that is set without a setting, and without the library in shared_preload_libraries
$_->end foreach $a, $b, $web;
$node->stop;
my $plain = Qms::node('plain', { preload => 0 }, 'qms.password_cost = 12');
is($plain->safe_psql('postgres', q{SELECT FROM qms.create_organization('One'); SELECT FROM qms.create_staff(1, 'ada'); SELECT qms.set_password(1, 'correct horse battery');
	SELECT coalesce(error, 'in') FROM qms.login('ada', 'correct horse battery'); SELECT substr(hash, 1, 7), cost FROM qms_internal.staff_password; SELECT boot_val FROM pg_settings WHERE name = 'qms.password_cost'}), "\nin\n\$2a\$12\$|12\n12", 'not preloaded: logins with cost 12');
$plain->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
Qms::fails_with($plain, q{LOAD 'qms'; SET ROLE plain; SET qms.password_cost = 4}, '42501', 'nobody makes passwords cheaper for himself');

unlike(slurp_file($_->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash') foreach $node, $plain;
$plain->stop;
done_testing();
