# A client of the gateway that does what the official SDKs do: connect, subscribe, answer pings,
# keep offset and epoch, recover; and that keeps everything it was sent.
#
#   my $f = Follower->new($gateway, token => $jwt);
#   $f->subscribe('display:1');
#   $f->until(sub { $f->{subs}{'display:1'}{live} });
package Follower;
use strict;
use warnings;

use JSON::PP;
use Scalar::Util qw(weaken);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8->canonical;
my @all;						# they all answer pings while one waits

# Options: token, host, path, connect => 0 leaves the connect command out.
sub new
{
	my ($class, $gateway, %o) = @_;
	my $self = bless { gateway => $gateway, option => \%o, subs => {}, id => 0, errors => [], pushes => 0 }, $class;
	$self->connect;
	push @all, $self;
	weaken($all[-1]);
	return $self;
}

# A new connection; subscriptions come back from where they were.
sub connect
{
	my ($self) = @_;
	my %o = %{ $self->{option} };
	@$self{qw(connected closed reply)} = (0, undef, {});
	$self->{ws} = $self->{gateway}->websocket(
		$o{path} ? (path => $o{path}) : (),
		$o{host} ? (headers => { Host => $o{host} }) : ());
	return $self if ($self->{ws}{status} // 0) != 101 || exists $o{connect};
	$self->command(connect => { $o{token} ? (token => $o{token}) : () });
	foreach my $channel (sort keys %{ $self->{subs} })
	{
		$self->{subs}{$channel}{live} = 0;
		$self->ask($channel);
	}
	return $self;
}

# Cut, as if the cable was pulled.
sub cut
{
	my ($self) = @_;
	close $self->{ws}{socket};
	$_->{live} = 0 foreach values %{ $self->{subs} };
	$self->{connected} = 0;
	return;
}

# A command; its id.
sub command
{
	my ($self, $name, $params) = @_;
	my $id = ++$self->{id};
	$self->{ws}->text($json->encode({ id => $id, $name => $params }));
	return $id;
}

# A command and its reply.
sub call
{
	my ($self, $name, $params) = @_;
	my $id = $self->command($name, $params);
	return $self->until(sub { $self->{reply}{$id} }) ? $self->{reply}{$id} : undef;
}

sub subscribe
{
	my ($self, $channel, %params) = @_;
	$self->{subs}{$channel} = { params => \%params, got => [], offset => undef, results => [] };
	$self->ask($channel);
	return $self;
}

sub ask
{
	my ($self, $channel) = @_;
	my $sub = $self->{subs}{$channel};
	my %params = (channel => $channel, %{ $sub->{params} });
	@params{qw(recover offset epoch)} = (JSON::PP::true, 0 + $sub->{offset}, $sub->{epoch}) if defined $sub->{offset};
	$sub->{id} = $self->command(subscribe => \%params);
	return;
}

sub publication
{
	my ($self, $channel, $pub) = @_;
	my $sub = $self->{subs}{$channel} // die "publication of $channel, which was never asked for";
	push @{ $sub->{got} }, { offset => $pub->{offset}, data => $pub->{data}, at => time() };
	$sub->{offset} = $pub->{offset};
	$self->{pushes}++;
	return;
}

# The result of a subscribe command, or of a connect's subs.
sub result
{
	my ($self, $channel, $result) = @_;
	my $sub = $self->{subs}{$channel} //= { params => {}, got => [], results => [] };
	push @{ $sub->{results} }, $result;
	$sub->{live} = 1;
	$self->publication($channel, $_) foreach @{ $result->{publications} // [] };
	@$sub{qw(offset epoch)} = @$result{qw(offset epoch)};
	# A snapshot says everything up to here.
	push @{ $sub->{got} }, { offset => $result->{offset}, data => $result->{data} } if $result->{data};
	return;
}

sub take
{
	my ($self, $message) = @_;
	my $push = $message->{push} // (grep({ exists $message->{$_} } qw(channel disconnect)) ? $message : undef);
	if (!%$message)
	{
		$self->{ws}->text('{}') if !$self->{option}{silent};
	}
	elsif ($push && $push->{pub})
	{
		$self->publication($push->{channel}, $push->{pub});
	}
	elsif ($push && $push->{unsubscribe})
	{
		my $sub = $self->{subs}{ $push->{channel} };
		$sub->{live} = 0;
		$sub->{unsubscribed} = $push->{unsubscribe}{code};
		$self->ask($push->{channel}) if $push->{unsubscribe}{code} >= 2500;
	}
	elsif (exists $message->{connect})
	{
		$self->{connected} = 1;
		my $subs = $message->{connect}{subs} // {};
		$self->result($_, $subs->{$_}) foreach sort keys %$subs;
	}
	if ($message->{id})
	{
		$self->{reply}{ $message->{id} } = $message;
		push @{ $self->{errors} }, $message->{error}{code} if $message->{error};
		if ($message->{subscribe})
		{
			my ($channel) = grep { ($self->{subs}{$_}{id} // 0) == $message->{id} } keys %{ $self->{subs} };
			$self->result($channel, $message->{subscribe});
		}
	}
	return;
}

# What has arrived, waiting for so long at most for the first of it.
sub read
{
	my ($self, $seconds) = @_;
	while (!defined $self->{closed})
	{
		my $frame = $self->{ws}->next_frame($seconds);
		if (!ref $frame)
		{
			$self->{closed} = 'end' if $frame eq 'end';
			return;
		}
		if ($frame->[0] == 8)
		{
			$self->{closed} = length $frame->[1] ? unpack 'n', $frame->[1] : 'end';
			return;
		}
		$self->take($json->decode($_)) foreach grep { length } split /\n/, $frame->[1];
		$seconds = 0;
	}
	return;
}

# Read until the condition holds; false when the time is over.
sub until
{
	my ($self, $condition, $seconds) = @_;
	my $end = time() + ($seconds // $Gateway::timeout);
	while (!$condition->())
	{
		return 0 if time() > $end;
		return $condition->() if defined $self->{closed};
		$self->read(0.05);
		$_->read(0) foreach grep { $_ && $_ != $self && $_->{connected} } @all;
	}
	return 1;
}

# Its channel is followed.
sub live
{
	my ($self, $channel) = @_;
	return $self->until(sub { $self->{subs}{$channel}{live} });
}

# Offsets of a channel's publications, without snapshots.
sub offsets
{
	my ($self, $channel) = @_;
	return map { $_->{offset} } grep { ($_->{data}{kind} // '') ne 'snapshot' } @{ $self->{subs}{$channel}{got} };
}

1;
