# Claims that a direct login makes up, by every way PostgreSQL has of setting something, change nothing.
use strict;
use warnings;

use lib 'test/lib';
use Qms;
use Test::More;

my $node = Qms::node('forged');
$node->safe_psql('postgres', "\\i test/fixtures/two_cities.sql");

sub ask { return $node->safe_psql('postgres', $_[0]) }

# as LOGIN, SQL [, OPTIONS]: what psql prints in a session of its own, errors as their SQLSTATE.
sub as
{
	my ($login, $sql, $options) = @_;
	local $ENV{PGOPTIONS} = $options // '';
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql", connstr => $node->connstr('postgres') . " user=$login", on_error_stop => 0);
	my @errors = $err =~ /(?:ERROR|FATAL): +(\w+)/g;
	return join ' ', grep { $_ ne '' } split(/\n/, $out), @errors;
}

# Who he is, and whether he can do what an administrator, and what a superuser can.
my $who = q{SELECT kind, id, organization_id, role, via FROM qms.current_principal();
SELECT 'branch' FROM qms.create_branch((SELECT min(organization_id) FROM qms.organizations), 'Forged');
SELECT 'organization' FROM qms.create_organization('Forged');
SELECT 'act' FROM qms.act_as();
SELECT 'rows', count(*) FROM qms.role_bindings;
SELECT 'staff', count(*) FROM qms.staff_members WHERE organization_id <> (SELECT organization_id FROM qms.current_principal());
};

ask(q{
	-- a clerk with a binding, who is a member of the groups of others as well; and somebody without one
	CREATE ROLE forger LOGIN; GRANT qms_servicer, qms_admin, qms_app, qms_customer, qms_kiosk TO forger;
	CREATE ROLE stranger LOGIN; GRANT qms_servicer, qms_admin, qms_app, qms_customer, qms_kiosk TO stranger;
	CREATE ROLE owner_of_database LOGIN; GRANT qms_servicer, qms_admin TO owner_of_database; ALTER DATABASE postgres OWNER TO owner_of_database;
	SELECT qms.bind_role('forger', attack.id('own', 'organization'), staff_id => attack.id('own', 'staff'));
	-- An ordinary user may not keep a setting that PostgreSQL does not know; these may.
	GRANT SET ON PARAMETER "request.jwt.claims" TO forger, stranger, owner_of_database});
my %honest = map { $_ => as($_, $who) } qw(forger stranger owner_of_database);
like($honest{forger}, qr/^staff\|\d+\|\d+\|servicer\|binding rows\|0 staff\|0 42501 42501 42501$/, "the clerk is a clerk: $honest{forger}");
like($honest{$_}, qr/^rows\|0 QM201 QM201 42501 42501 QM201$/, "$_ is nobody: $honest{$_}") foreach qw(stranger owner_of_database);

# The claims that he would like: everybody there is.
my %claims = map { split /\t/, $_, 2 } split /\n/, ask(q{SELECT name || chr(9) || claims FROM attack.principal WHERE claims IS NOT NULL});
$claims{'made up'} = q({"role": "qms_super_admin", "sub": "superuser", "organization_id": null});
$claims{'of the owner'} = q({"role": "qms_owner", "kind": "superuser", "via": "superuser"});
$claims{empty} = '{}';
foreach my $login (qw(forger stranger))
{
	foreach my $name (sort keys %claims)
	{
		my $c = $claims{$name};
		my ($role) = $c =~ /"role": "(\w+)"/;
		$role = 'qms_admin' unless $role;
		my %way = (
			'SET' => "SET request.jwt.claims = '$c'; $who",
			'SET LOCAL' => "BEGIN; SET LOCAL request.jwt.claims = '$c'; SAVEPOINT s; " . ($who =~ s/;\n/; ROLLBACK TO s; /gr) . 'ROLLBACK',
			'set_config' => "SELECT set_config('request.jwt.claims', '$c', false) IS NULL AS x \\gset\n$who",
			'the settings of old' => "SET request.jwt.claim.role = '$role'; SET request.jwt.claim.sub = 'staff:1'; SET request.jwt.claim.organization_id = '1'; SET request.jwt.claim = '$c'; SET request.headers = '{\"x-api-key\": \"x\", \"authorization\": \"Bearer x\"}'; SET qms.x = 'superuser'; $who" =~ s/SET qms\.x = 'superuser'; //r,
			'set_config and a SECURITY DEFINER function of his own' =>
				"CREATE FUNCTION pg_temp.f(OUT kind text, OUT id bigint, OUT organization_id bigint, OUT role text, OUT via text) SECURITY DEFINER SET request.jwt.claims = '$c' LANGUAGE sql AS 'SELECT kind, id, organization_id, role, via FROM qms.current_principal()'; " . ($who =~ s/SELECT kind.*?;\n/SELECT * FROM pg_temp.f();\n/r));
		foreach my $way (sort keys %way)
		{
			is(as($login, $way{$way}), $honest{$login}, "$login with the claims of $name by $way");
		}
		my $escaped = $c =~ s/([ \\])/\\$1/gr;
		is(as($login, $who, "-c request.jwt.claims=$escaped"), $honest{$login}, "$login with the claims of $name in the options of the connection");
	}
}

# What stays: settings of roles and of the database.
my $admin = $claims{admin};
is(as('forger', "ALTER ROLE forger SET request.jwt.claims = '$admin'"), '', 'the clerk changes the settings of his role');
is(as('forger', 'SHOW request.jwt.claims'), $admin, '... and has them');
is(as('forger', $who), $honest{forger}, '... for nothing');
is(as('owner_of_database', "ALTER DATABASE postgres SET request.jwt.claims = '$admin'"), '', 'the owner of the database changes its settings');
is(as($_, $who), $honest{$_}, "... for nothing: $_") foreach qw(stranger owner_of_database);
like(as('attack_web', 'SELECT current_setting($$request.jwt.claims$$); SET ROLE qms_customer; SELECT kind FROM qms.current_principal()'), qr/QM201$/, 'a setting of the database that is not what the active role may be lets PostgREST be nobody');
ask('ALTER DATABASE postgres RESET request.jwt.claims; ALTER ROLE forger RESET request.jwt.claims');

# SET ROLE: what he is a member of does not count, but who has logged in.
foreach my $role (qw(qms_servicer qms_admin qms_app qms_customer qms_kiosk))
{
	is(as('forger', "SET ROLE $role; SELECT kind, id, organization_id, role, via FROM qms.current_principal()"), as('forger', 'SELECT kind, id, organization_id, role, via FROM qms.current_principal()'), "SET ROLE $role in a direct login: the same");
	is(as('stranger', "SET ROLE $role; SET request.jwt.claims = '$admin'; SELECT kind FROM qms.current_principal()"), 'QM201', "... and still nobody");
}
is(as('forger', "SET ROLE $_"), '42501', "SET ROLE $_ is not for him") foreach (qw(qms_owner qms_super_admin qms_authenticator qms_gateway attack_admin), ask('SELECT session_user'));
is(as('forger', 'SET SESSION AUTHORIZATION attack_admin'), '42501', 'nor SET SESSION AUTHORIZATION');
is(as('forger', $who, "-c $_=attack_admin"), 'permission', "$_ in the options of the connection is refused") foreach qw(role session_authorization);

# Settings of qms that an ordinary user could change, and the clock.
is(ask(q{LOAD 'qms'; SELECT string_agg(name, ' ') FROM pg_settings WHERE name ~ '^qms\.' AND context IN ('user', 'backend')}), '', 'no setting of qms can be changed by an ordinary user');
is(as('forger', "SET qms.mock_now = '2020-01-01'"), '42501', 'the clock is not for him');
is(as('forger', 'SET qms.no_such = 1; SET qms_internal.x = 1; SELECT kind FROM qms.current_principal()'), 'staff 42602', 'nor are settings that do not exist');
is(as('forger', 'SELECT 1', '-c qms.mock_now=2020-01-01'), 'permission', 'nor the clock in the options of the connection');

# One session of PostgREST or of a pool serves one request after the other: each is who it says, and no more.
my $web = as('attack_web', join '', map { ('BEGIN; ', "SET LOCAL ROLE $$_[0]; ", $$_[1] ? "SET LOCAL request.jwt.claims = '$$_[1]'; " : '', "SELECT kind, role FROM qms.current_principal(); COMMIT;\n") }
	[ 'qms_admin', $admin ], [ 'qms_customer', '' ], [ 'qms_servicer', $claims{servicer} ], [ 'qms_customer', $claims{admin} ], [ 'qms_app', $claims{application} ], [ 'qms_customer', '' ]);
is($web, 'staff|admin customer|customer staff|servicer application|application customer|customer QM201', 'one session serves many: each is who he is');
is(as('attack_web', "SET request.jwt.claims = '$admin'; SELECT kind FROM qms.current_principal()"), '42501', 'without SET ROLE the login of PostgREST is nobody');
is(as('attack_web', "SET request.jwt.claims = '$admin'; SET ROLE qms_servicer; SELECT role FROM qms.current_principal()"), 'servicer', 'a role that is less makes an administrator less');
is(as('attack_web', "SET request.jwt.claims = '$claims{servicer}'; SET ROLE qms_admin; SELECT role FROM qms.current_principal()"), 'QM201', 'and a role that is more makes nobody more');

# A name is not a person: a role that takes the name of one that is bound.
ask('ALTER ROLE attack_admin RENAME TO attack_gone; CREATE ROLE attack_admin LOGIN; GRANT qms_admin TO attack_admin');
is(as('attack_admin', 'SELECT kind FROM qms.current_principal()'), 'QM201', 'whoever takes the name of a bound role is nobody');

done_testing();
