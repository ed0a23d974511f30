# Supervised.pm: servers whose worker "qms gateway" runs test/fixtures/qms_gateway instead of the real program.
#
#   my $gateway = Supervised->new('gateway', { mode => 'busy' }, 'qms.gateway_ping_interval = 5');
#   $gateway->state_is('listening', 'it listens');
#   my $start = $gateway->last_start;   # what it was started with
#   my $config = $gateway->config;      # what it was told last
package Supervised;

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# new(NAME, [\%option,] SETTING...): options of Qms::node, and mode => what the stand-in is to be, or
# program => another program.
sub new
{
	my ($class, $name, @settings) = @_;
	my %option = ref $settings[0] ? %{ shift @settings } : ();
	my $self = bless { folder => PostgreSQL::Test::Utils::tempdir(), name => $name, program => delete $option{program} }, $class;

	if (!$self->{program})
	{
		$self->{program} = "$self->{folder}/qms_gateway";
		system('cp', 'test/fixtures/qms_gateway', $self->program) == 0 or die "cp: $!";
		chmod 0755, $self->program;
	}
	$self->mode(delete $option{mode} // '');
	my $start = delete $option{start} // 1;
	my $extension = delete $option{extension} // 1;
	$self->{node} = Qms::node($name, { %option, start => 0 }, 'qms.workers = on', 'qms.gateway = on', "listen_addresses = '127.0.0.1'",
		'max_worker_processes = 20', "qms.gateway_program = '" . $self->program . "'", @settings);
	$self->hba($self->{node});
	return $self unless $start;
	$self->{node}->start;
	$self->{node}->safe_psql('postgres', 'CREATE EXTENSION qms') if $extension;
	return $self;
}

# As on Debian: who comes by TCP needs a password.
sub hba
{
	my ($self, $node) = @_;
	open my $hba, '>', $node->data_dir . '/pg_hba.conf' or die "pg_hba.conf: $!";
	print $hba "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 trust\n";
	close $hba or die "pg_hba.conf: $!";
	return;
}

sub node { return $_[0]{node} }
sub program { return $_[0]{program} }
sub ask { my ($self, $sql, $database) = @_; return $self->{node}->safe_psql($database // 'postgres', $sql) }
sub log { my ($self, $from) = @_; return substr(slurp_file($self->{node}->logfile), $from // 0) }

sub mode
{
	my ($self, $mode) = @_;
	open my $file, '>', "$self->{folder}/mode" or die "mode: $!";
	print $file "$mode\n";
	return close $file;
}

sub lines
{
	my ($self, $file) = @_;
	return -e "$self->{folder}/$file" ? split(/\n/, slurp_file("$self->{folder}/$file")) : ();
}

# starts(): of each time it was started, what it found then.
sub starts
{
	my ($self) = @_;
	return map { my %start = /(\w+)=(\S*)/g; \%start } $self->lines('starts');
}

sub last_start { my @starts = $_[0]->starts; return $starts[-1] }

# told(): each configuration that it has been told, the last one last.
sub told { return map { JSON::PP->new->utf8->decode($_) } $_[0]->lines('told') }
sub config { my @told = $_[0]->told; return $told[-1] }

# served(): names of the databases, in the order of the last configuration.
sub served { my $config = $_[0]->config; return $config ? join(' ', map { $_->{name} } @{ $config->{databases} }) : '' }

sub status { my ($self, $what) = @_; return $self->ask("SELECT $what FROM qms.gateway_status WHERE name = 'local'", $self->{database}) }

sub becomes
{
	my ($self, $code, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Qms::poll($code), $test) || diag($self->status('row_to_json(gateway_status)') . "\n" . substr($self->log, -2000));
}

sub state_is
{
	my ($self, $state, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->becomes(sub { $self->status('state') eq $state }, $test);
}

# Is a process gone?  One that nobody has waited for yet is.
sub is_gone
{
	my ($pid) = @_;
	return !-e "/proc/$pid" || slurp_file("/proc/$pid/status") =~ /^State:\s*Z/m;
}

1;
