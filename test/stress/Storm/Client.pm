# Storm::Client: one session.  It calls functions by name, comes back after a lost connection,
# repeats requests on purpose, and keeps accounts of what it was told.
package Storm::Client;

use strict;
use warnings;

use DBI;
use Fcntl qw(O_WRONLY O_APPEND O_CREAT);
use POSIX qw(strftime);
use Time::HiRes qw(sleep time);

# Errors that a call may end with, besides class QM.
my %expected = map { $_ => 1 } qw(40001);

# Sessions differ in how they write times, which must not matter; some work under another isolation level.
my @zones = qw(UTC America/New_York Asia/Kolkata);
my @dates = ('ISO,MDY', 'SQL,DMY', 'German', 'Postgres,MDY');
my @intervals = qw(postgres iso_8601 sql_standard postgres_verbose);

# new(name => ..., socket => folder, user => role, folder => of the logs, end => time to stop,
# allowed => { SQLSTATE => 1 }).
sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, count => {}, problems => 0, statements => {} }, $class;

	my $n = $self->{name} =~ /(\d+)/ ? $1 : 0;

	$self->{options} = "-c timezone=$zones[$n % @zones] -c datestyle=$dates[$n % @dates]"
	  . " -c intervalstyle=$intervals[$n / 4 % @intervals]"
	  . ($n % 16 == 15 ? ' -c default_transaction_isolation=repeatable\\\\ read' : '');
	sysopen($self->{acks}, "$self->{folder}/acks.$self->{name}", O_WRONLY | O_APPEND | O_CREAT)
	  or die "acks.$self->{name}: $!";
	return $self;
}

# A moment that many seconds from now, as text.
sub moment
{
	my ($self, $seconds) = @_;
	my $at = time() + $seconds;

	return strftime('%Y-%m-%d %H:%M:%S', gmtime($at)) . sprintf('.%03d+00', ($at - int($at)) * 1000);
}

sub over
{
	my ($self) = @_;
	return time() >= $self->{end};
}

# Something that must not happen: to the log, and the run fails.
sub problem
{
	my ($self, $text) = @_;

	$self->{problems}++;
	return if $self->{problems} > 20;
	$text =~ s/\s*\n\s*/ | /g;
	open(my $file, '>>', "$self->{folder}/problems") or die $!;
	syswrite($file, "$self->{name}: $text\n");
}

# What was acknowledged must be there after any crash; columns of one line:
# function, request_id, ticket_id, version, state, number, staff_session_id.
sub acknowledge
{
	my ($self, $function, $request_id, $row) = @_;

	syswrite($self->{acks},
		join("\t", $function, map { $_ // '' } $request_id,
			map { $row->{$_} } qw(ticket_id version state number staff_session_id)) . "\n");
}

sub acknowledge_all
{
	my ($self, $function, $request_id, $answer) = @_;

	foreach my $row (@{ $answer->{rows} // [] })
	{
		$self->acknowledge($function, $request_id, $row) if defined $row->{ticket_id} || defined $row->{staff_session_id};
	}
}

sub connect_once
{
	my ($self) = @_;

	$self->{statements} = {};
	$self->{dbh} = DBI->connect("dbi:Pg:host=$self->{socket};dbname=stress;options='$self->{options}'", $self->{user}, '',
		{ RaiseError => 0, PrintError => 0, PrintWarn => 0, AutoCommit => 1, AutoInactiveDestroy => 1, pg_server_prepare => 1 });
	return $self->{dbh};
}

# Poll until the server is there again.
sub connection
{
	my ($self) = @_;
	my $give_up;

	return $self->{dbh} if $self->{dbh};
	until ($self->connect_once())
	{
		$give_up //= time() + 120;
		die "$self->{name}: no connection: " . (DBI->errstr // '') if time() > $give_up;
		sleep 0.05;
	}
	$self->{count}{connections}++;
	$self->resolve_prepared() if $self->{prepared};
	return $self->{dbh};
}

# Transactions that we prepared and did not get to finish.
sub resolve_prepared
{
	my ($self) = @_;
	my $gids = $self->{dbh}->selectcol_arrayref('SELECT gid FROM pg_prepared_xacts WHERE gid LIKE ?', {}, "$self->{name} %");

	$self->{dbh}->do((rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'") foreach @{ $gids // [] };
}

sub disconnect
{
	my ($self) = @_;

	$self->{statements} = {};
	$self->{dbh}->disconnect() if $self->{dbh};
	$self->{dbh} = undef;
}

# One call.  Answers { rows => [...] }, { state => SQLSTATE, error => text }, or { lost => 1 }.
sub run
{
	my ($self, $function, $arguments) = @_;
	my $dbh = $self->connection();
	my @names = sort keys %$arguments;
	my $sql = "SELECT * FROM qms.$function(" . join(', ', map { "$_ => ?" } @names) . ')';
	my $statement = $self->{statements}{$sql} //= $dbh->prepare($sql);
	my %answer = (state => '');

	if ($statement && $statement->execute(@{$arguments}{@names}))
	{
		# It fails in its own way when the connection goes meanwhile.
		my $rows = eval { $statement->fetchall_arrayref({}) };

		$answer{rows} = $rows unless $statement->err;
	}
	if (!$answer{rows})
	{
		$answer{state} = $dbh->state;
		$answer{error} = $dbh->errstr // '';
		$answer{lost} = 1 if $answer{state} =~ /^57P0/ || $dbh->ping() <= 0;
		$self->disconnect() if $answer{lost};
	}
	$self->account($function, \%answer);
	return \%answer;
}

# Count by function and SQLSTATE; what nobody expects is a problem.
sub account
{
	my ($self, $function, $answer) = @_;
	my $state = $answer->{lost} ? 'lost' : $answer->{state} eq '' ? 'ok' : $answer->{state};

	$self->{count}{"$function $state"}++;
	return if $answer->{lost} || $state eq 'ok' || $state =~ /^QM/ || $expected{$state} || $self->{allowed}{$state};
	$self->problem("unexpected $state from qms.$function: $answer->{error}");
}

sub new_request_id
{
	return sprintf('%08x-%04x-4%03x-8%03x-%06x%06x', rand(2**32), rand(2**16), rand(2**12), rand(2**12),
		rand(2**24), rand(2**24));
}

# An answer as one string.
sub flat
{
	my ($answer) = @_;
	my $text = sub { !defined $_[0] ? 'null' : ref $_[0] ? "{@{$_[0]}}" : $_[0] };

	return join('; ', map { my $row = $_; join(', ', map { "$_=" . $text->($row->{$_}) } sort keys %$row) }
		@{ $answer->{rows} });
}

# The same request again must give the same answer.
sub repeat
{
	my ($self, $function, $arguments, $first) = @_;

	for my $try (1 .. 10)
	{
		my $again = $self->run($function, $arguments);

		next if $again->{lost};
		$self->{count}{repeated}++;
		if (!$again->{rows})
		{
			$self->problem("repeated qms.$function failed with $again->{state}: $again->{error}");
		}
		elsif (flat($again) ne flat($first))
		{
			$self->problem("repeated qms.$function answered otherwise: " . flat($first) . ' / ' . flat($again));
		}
		return;
	}
}

# A call that changes something: half of them with a request_id, some of those repeated.
# When the connection is lost meanwhile, only a request_id can be asked again.
sub mutate
{
	my ($self, $function, %arguments) = @_;
	my $request_id;
	my $answer;

	$arguments{request_id} = $request_id = new_request_id() if rand() < 0.5;
	return $self->in_transaction($function, \%arguments) if rand() < 0.08;
	for my $try (1 .. 10)
	{
		$answer = $self->run($function, \%arguments);
		last unless $answer->{lost} && $request_id;
		$self->{count}{'asked again'}++;
	}
	$self->acknowledge_all($function, $request_id, $answer);
	$self->repeat($function, \%arguments, $answer) if $answer->{rows} && $request_id && rand() < 0.15;
	return $answer;
}

# A statement of ours; false when the connection is lost or it fails.
sub command
{
	my ($self, $sql) = @_;
	my $dbh = $self->{dbh} or return 0;

	return 1 if $dbh->do($sql);
	$self->{count}{"$1 failed"}++ if $sql =~ /^(\w+)/;
	$self->disconnect() if $dbh->ping() <= 0;
	return 0;
}

# A call in a transaction that stays open for a moment and then is committed or rolled back, some of
# them after a savepoint that was rolled back to, or prepared first.
sub in_transaction
{
	my ($self, $function, $arguments) = @_;
	my $commit = rand() < 0.5;
	my $gid = rand() < 0.3 ? "$self->{name} " . ++$self->{prepared} : undef;
	my $answer;

	$self->connection();
	return { lost => 1, state => '' } unless $self->command('BEGIN');
	if (rand() < 0.3)
	{
		$self->command('SAVEPOINT before') or return { lost => 1, state => '' };
		$answer = $self->run($function, $arguments);
		return $answer if $answer->{lost};
		$self->command('ROLLBACK TO before') or return { lost => 1, state => '' };
	}
	$answer = $self->run($function, $arguments);
	return $answer if $answer->{lost};
	sleep rand(0.03);
	if (!$answer->{rows} || !($gid ? $self->prepare($gid, $commit) : $self->command($commit ? 'COMMIT' : 'ROLLBACK')))
	{
		$self->command('ROLLBACK') if $self->{dbh};
		delete $answer->{rows};
		return $answer;
	}
	$self->{count}{ ($gid ? 'prepared and ' : '') . ($commit ? 'committed' : 'rolled back') }++;
	if ($commit) { $self->acknowledge_all($function, $arguments->{request_id}, $answer) }
	else { delete $answer->{rows} }
	return $answer;
}

sub prepare
{
	my ($self, $gid, $commit) = @_;

	$self->command("PREPARE TRANSACTION '$gid'") or return 0;
	sleep rand(0.03);
	return $self->command(($commit ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
}

# Two calls over two connections at the same moment: [function, arguments], [function, arguments].
sub both_at_once
{
	my ($self, @calls) = @_;
	my $other = $self->{other} //= Storm::Client->new(%$self, name => "$self->{name}b", dbh => undef, prepared => 0);
	my @clients = ($self, $other);
	my @statements;
	my @answers;

	foreach my $i (0, 1)
	{
		my ($function, $arguments) = @{ $calls[$i] };
		my @names = sort keys %$arguments;
		my $sql = "SELECT * FROM qms.$function(" . join(', ', map { "$_ => ?" } @names) . ')';
		my $statement = $clients[$i]->connection()->prepare($sql, { pg_async => 1 });

		$statement = undef unless $statement && $statement->execute(@{$arguments}{@names});
		push @statements, $statement;
	}
	foreach my $i (0, 1)
	{
		push @answers, $clients[$i]->receive($statements[$i]);
		$clients[$i]->account($calls[$i][0], $answers[$i]);
	}
	$self->{count}{'two at once'}++;
	return @answers;
}

# The answer of a statement that was sent before.
sub receive
{
	my ($self, $statement) = @_;
	my $dbh = $self->{dbh};
	my %answer = (state => '');

	$answer{rows} = eval { $statement->fetchall_arrayref({}) } if $statement && $dbh->pg_result();
	return \%answer if $answer{rows};
	$answer{error} = $dbh->errstr // 'not sent';
	$answer{state} = $dbh->state || 'XXXXX';
	$answer{lost} = 1 if $answer{state} =~ /^57P0/ || $dbh->ping() <= 0;
	$self->disconnect() if $answer{lost};
	return \%answer;
}

# The same request twice at once: one effect, one answer.
sub twice_at_once
{
	my ($self, $function, %arguments) = @_;

	$arguments{request_id} = new_request_id();
	my @good = grep { $_->{rows} } $self->both_at_once([ $function, \%arguments ], [ $function, \%arguments ]);

	return { state => '' } unless @good;
	$self->acknowledge_all($function, $arguments{request_id}, $good[0]);
	$self->problem("two qms.$function at once answered otherwise: " . flat($good[0]) . ' / ' . flat($good[1]))
	  if @good == 2 && flat($good[0]) ne flat($good[1]);
	return $good[0];
}

# Two different calls at once; both may go well, one after the other.
sub rivals
{
	my ($self, @calls) = @_;
	my @answers = $self->both_at_once(@calls);

	$self->acknowledge_all($calls[$_][0], undef, $answers[$_]) foreach 0, 1;
	return @answers;
}

# Counts to a file that the parent adds up.
sub report
{
	my ($self) = @_;

	open(my $file, '>', "$self->{folder}/counts.$self->{name}") or die $!;
	print $file "$_\t$self->{count}{$_}\n" foreach sort keys %{ $self->{count} };
	print $file "problems\t$self->{problems}\n";
	close($file);
	$self->disconnect();
	$self->{other}->report() if $self->{other};
}

1;
