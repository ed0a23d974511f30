# Session.pm: a psql that stays connected, for transactions that are left open.
#
#   my $s = Session->new($node, ['user=ada']);
#   my $answer = $s->ask('BEGIN; SELECT 1');
#   $s->end;
package Session;

use strict;
use warnings;

use IPC::Run;
use Qms;

sub new
{
	my ($class, $node, @options) = @_;
	my %self = (in => '', out => '', err => '', n => 0);
	my $self = bless \%self, $class;

	$self->{psql} = IPC::Run::start([ 'psql', '-XAtq', '-d', join(' ', $node->connstr('postgres'), @options) ],
		'<', \$self{in}, '>', \$self{out}, '2>', \$self{err}, IPC::Run::timeout($Qms::timeout));
	return $self;
}

# tell(SQL): begin a statement and do not wait for it.
sub tell
{
	my ($self, $sql) = @_;

	$self->{n}++;
	$self->{in} .= "$sql;\n\\echo done-$self->{n}\n";
	$self->{psql}->pump_nb;
	return;
}

# answer(): what the statement of tell() printed, when it is over.
sub answer
{
	my ($self) = @_;
	my $end = "done-$self->{n}\n";

	$self->{psql}->pump until $self->{out} =~ /(?:^|\n)$end/;
	my $answer = $self->{out} =~ s/\n?$end\z//r;
	$self->{out} = '';
	return $answer;
}

sub ask
{
	my ($self, $sql) = @_;

	$self->tell($sql);
	return $self->answer;
}

# errors(): what it has complained about so far.
sub errors
{
	my ($self) = @_;
	return $self->{err};
}

sub end
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	eval { $self->{psql}->finish };
	return;
}

# gone(): the server is not there any more.
sub gone
{
	my ($self) = @_;
	eval { $self->{psql}->kill_kill };
	return;
}

1;
