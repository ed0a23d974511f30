# Snapshots while eight writers write.  From each of them, with the events that come after its
# position, one arrives at what is there when the writers are done; and no snapshot has a position
# that is newer than what it shows.
use strict;
use warnings;

use lib 'test/lib';
use JSON::PP;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $node = Qms::node('gateway_snapshots', 'qms.workers = on', 'max_connections = 60');
my $json = JSON::PP->new->utf8->canonical;
my $seconds = $ENV{QMS_WRITE_SECONDS} || 6;

sub ask { return $node->safe_psql('postgres', $_[0]) }

# A branch with two zones, three queues, six counters, each of which takes from all queues.
ask(<<'END');
CREATE ROLE gw LOGIN; GRANT qms_gateway, qms_authenticator TO gw;
SELECT FROM qms.create_organization('City');
SELECT FROM qms.create_branch(1, 'Hall');
SELECT FROM qms.create_zone(1, 'East'); SELECT FROM qms.create_zone(1, 'West');
SELECT FROM generate_series(1, 3) n, LATERAL qms.create_queue('Queue ' || n, 1, settings => '{"undo_window": "1 h"}');
SELECT FROM generate_series(1, 6) n, LATERAL qms.create_counter(1, 'Counter ' || n, '{1,2,3}', nullif(n % 3, 0));
SELECT FROM generate_series(1, 6) n, LATERAL qms.open_counter(n);
SELECT FROM generate_series(1, 30) n, LATERAL qms.join_queue(1 + n % 3);
CREATE TABLE done (what text);
-- Something that people do; what is not possible just now is not done.
CREATE PROCEDURE act(me int) LANGUAGE plpgsql AS $$
DECLARE
	counter bigint := 1 + floor(random() * 6);
	queue bigint := 1 + floor(random() * 3);
	other bigint := ticket_id FROM qms.ticket WHERE state = 'waiting' ORDER BY random() LIMIT 1;
	current bigint := current_ticket_id FROM qms.staff_session WHERE counter_id = counter AND closed_at IS NULL;
	dice int := floor(random() * 22);
	name text := (ARRAY['join', 'join', 'join', 'join', 'call', 'call', 'call', 'call', 'finish', 'finish', 'start', 'recall', 'requeue', 'no_show', 'hold', 'transfer', 'transfer_current', 'cancel', 'undo', 'pause', 'close', 'queue'])[1 + dice];
BEGIN
	CASE name
		WHEN 'join' THEN PERFORM qms.join_queue(queue);
		WHEN 'call' THEN PERFORM qms.call_next(counter, 'completed');
		WHEN 'finish' THEN PERFORM qms.complete_service(counter);
		WHEN 'start' THEN PERFORM qms.start_service(counter);
		WHEN 'recall' THEN PERFORM qms.recall_ticket(counter);
		WHEN 'requeue' THEN PERFORM qms.requeue_ticket(current);
		WHEN 'no_show' THEN PERFORM qms.mark_no_show(counter);
		WHEN 'hold' THEN PERFORM qms.hold_ticket(coalesce(current, other), 'x', resume_at => now() + '1 s');
		WHEN 'transfer' THEN PERFORM qms.transfer_ticket(other, queue);
		WHEN 'transfer_current' THEN PERFORM qms.transfer_ticket(current, queue);
		WHEN 'cancel' THEN PERFORM qms.cancel_ticket(other, 'x');
		WHEN 'undo' THEN PERFORM qms.undo(counter);
		WHEN 'pause' THEN
			IF random() < 0.5 THEN PERFORM qms.pause_counter(counter, 'x'); ELSE PERFORM qms.resume_counter(counter); END IF;
		WHEN 'close' THEN
			IF random() < 0.5 THEN PERFORM qms.close_counter(counter); ELSE PERFORM qms.open_counter(counter); END IF;
		WHEN 'queue' THEN
			IF random() < 0.5 THEN PERFORM qms.pause_queue(queue); ELSE PERFORM qms.open_queue(queue); END IF;
	END CASE;
	-- Long and short transactions, and some that are rolled back.
	IF random() < 0.05 THEN PERFORM pg_sleep(random() * 0.02); END IF;
	IF random() < 0.1 THEN RAISE EXCEPTION 'rolled back'; END IF;
	INSERT INTO done VALUES (name);
EXCEPTION WHEN OTHERS THEN
	NULL;
END $$;
CREATE PROCEDURE work(me int, seconds int) LANGUAGE plpgsql AS $$
DECLARE
	ends timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
	WHILE clock_timestamp() < ends LOOP
		CALL act(me);
		COMMIT;
		IF random() < 0.5 THEN PERFORM pg_sleep(0.001); END IF;
	END LOOP;
END $$;
END

my $gateway = Session->new($node, 'user=gw');
my @channels = qw(display:1 display:1:1 display:1:2 queue:1 queue:2 queue:3 staff:1);
my $epoch = $gateway->ask('SELECT epoch FROM qms_internal.gateway_hello()');

# As the hub reads: events after the position, with figures, and some snapshots between.
my (@events, @snapshots);
my $position = 0;
sub read_events
{
	my $rows = $gateway->ask(qq{SELECT jsonb_build_object('position', position, 'zone', zone_id, 'queue', queue_id, 'other', other_queue_id, 'visit', visit_id, 'public', public_text::jsonb, 'full', full_text::jsonb, 'own', visit_text::jsonb)
		FROM qms_internal.gateway_events($position, '$epoch', 1000, '{1}')});
	my @new = map { $json->decode($_) } split /\n/, $rows;
	push @events, @new;
	$position = $new[-1]{position} if @new;
	return scalar @new;
}
sub snapshots
{
	my @visits = map { "visit:$_" } split /\n/, ask('SELECT visit_id FROM qms.ticket ORDER BY random() LIMIT 5');
	my %met;
	my $list = join ',', grep { !$met{$_}++ } @channels, @visits, @_;
	my $rows = $gateway->ask("SELECT jsonb_build_object('channel', channel, 'kind', kind, 'position', position, 'body', body::jsonb) FROM qms_internal.gateway_channels('{$list}', 5)");
	return map { $json->decode($_) } split /\n/, $rows;
}

my @writers = map { Session->new($node) } 1 .. 8;
$writers[$_]->tell("CALL work($_, $seconds)") foreach 0 .. 7;
my $ends = time() + $seconds + 1;
while (time() < $ends)
{
	read_events();
	push @snapshots, [ snapshots() ];
}
$_->answer foreach @writers;
my $errors = join '', map { $_->errors } @writers;
$_->end foreach @writers;
is($errors, '', 'the writers had no errors of their own');
# Holds end by themselves: until nothing is left to end.
Qms::wait_for($node, q{SELECT NOT EXISTS (SELECT FROM qms.ticket WHERE resume_at IS NOT NULL)}, 'all holds have ended');
Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, 'all is published');
read_events() while $position < ask('SELECT last_position FROM qms.stream_position()');
my %visits = map { $_->{channel} =~ /^visit:(\d+)/ ? ($1 => 1) : () } map { @$_ } @snapshots;
my @final = snapshots(map { "visit:$_" } sort keys %visits);
my %final = map { $_->{kind} eq 'snapshot' ? ($_->{channel} => $_->{body}) : () } @final;

note(ask(q{SELECT string_agg(what || ' ' || n, ', ' ORDER BY what) FROM (SELECT what, count(*) AS n FROM done GROUP BY 1) x}));
note(scalar(@events) . ' events, ' . scalar(@snapshots) . ' moments, ' . scalar(keys %visits) . ' visits');
cmp_ok(scalar(@events), '>', 300, 'much has happened');
cmp_ok(scalar(@snapshots), '>', 4, 'and was looked at meanwhile');
is(ask(q{SELECT string_agg(k, ' ') FROM unnest('{ticket.joined,ticket.called,ticket.requeued,ticket.transferred,ticket.undone,ticket.held,ticket.resumed,counter.closed,queue.paused}'::text[]) k WHERE NOT EXISTS (SELECT FROM qms.event WHERE kind = k)}), '', 'of every kind');
is(join(' ', map { $_->{position} } @events), ask('SELECT string_agg(position::text, $$ $$ ORDER BY position) FROM qms_internal.event_position'), 'every event was read once, in order');

# What a channel shows, as what can be compared.
sub shown
{
	my ($channel, $body) = @_;
	my ($kind) = split /:/, $channel;
	my %state;

	if ($kind eq 'display')
	{
		%state = (serving => {}, queue => {});
		$state{serving}{ $_->{number} } = "$_->{counter_id} $_->{state} $_->{queue_id}" foreach @{ $body->{now_serving} };
		$state{queue}{ $_->{queue_id} } = "$_->{status} $_->{waiting}" foreach @{ $body->{queues} };
	}
	elsif ($kind eq 'queue')
	{
		%state = (queue => { $body->{queue_id} => "$body->{status} $body->{waiting}" }, serving => { map { $_ => 1 } @{ $body->{serving} } });
	}
	elsif ($kind eq 'staff')
	{
		%state = map { $_->{counter_id} => $_->{current_ticket} ? "$_->{current_ticket}{number} $_->{current_ticket}{state} $_->{current_ticket}{version}" : '' } @{ $body->{counters} };
	}
	else
	{
		%state = map { $_->{ticket_id} => "$_->{number} $_->{state} $_->{version} $_->{queue_id}" } @{ $body->{tickets} };
	}
	return \%state;
}

sub is_at_counter { return $_[0]{state} =~ /^(?:called|serving)$/ }

# One event, applied as values that result.
sub fold
{
	my ($state, $event, $channel) = @_;
	my ($kind, $id, $zone) = split /:/, $channel;
	my $e = $event->{ $kind eq 'staff' ? 'full' : $kind eq 'visit' ? 'own' : 'public' } or return;

	if ($kind eq 'visit')
	{
		$state->{ $e->{ticket_id} } = "$e->{number} $e->{state} $e->{version} $e->{queue_id}" if $e->{visit_id} == $id;
		return;
	}
	if ($kind eq 'staff')
	{
		return unless $e->{number};
		$state->{$_} = '' foreach grep { $state->{$_} =~ /^\Q$e->{number}\E / } keys %$state;
		$state->{ $e->{counter_id} } = "$e->{number} $e->{state} $e->{version}" if is_at_counter($e);
		return;
	}
	return if $kind eq 'queue' && $id != ($event->{queue} // 0) && $id != ($event->{other} // 0);
	return if $zone && defined $event->{zone} && $event->{zone} != $zone;
	foreach my $figures ($e->{data} && defined $e->{data}{waiting} ? ({ %{ $e->{data} }, queue_id => $e->{queue_id} }, @{ $e->{data}{queues} || [] }) : ())
	{
		$state->{queue}{ $figures->{queue_id} } = "$figures->{status} $figures->{waiting}" if $kind eq 'display' || $figures->{queue_id} == $id;
	}
	return unless $e->{number};
	delete $state->{serving}{ $e->{number} };
	return unless is_at_counter($e);
	$state->{serving}{ $e->{number} } = $kind eq 'queue' ? 1 : "$e->{counter_id} $e->{state} $e->{queue_id}" if $kind ne 'queue' || $e->{queue_id} == $id;
	return;
}

my (%compared, @wrong);
foreach my $moment (@snapshots)
{
	my @positions = map { $_->{position} } grep { $_->{kind} eq 'snapshot' } @$moment;
	push @wrong, "positions @positions" if grep { $_ != $positions[0] } @positions;
	foreach my $s (grep { $_->{kind} eq 'snapshot' } @$moment)
	{
		my $state = shown($s->{channel}, $s->{body});
		fold($state, $_, $s->{channel}) foreach grep { $_->{position} > $s->{position} } @events;
		my ($got, $wanted) = map { $json->encode($_) } $state, shown($s->{channel}, $final{ $s->{channel} });
		push @wrong, "$s->{channel} at $s->{position}: $got, not $wanted" if $got ne $wanted;
		$compared{ $s->{channel} =~ s/:.*//r }++;
	}
}
note(join ', ', map { "$_ $compared{$_}" } sort keys %compared);
is(join("\n", @wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]), '', 'each snapshot and the events after it lead to the end') or diag(scalar(@wrong) . ' do not');

# Of the events up to its position a snapshot has all: the version of a ticket is that of its last event, or newer.
my %versions;
foreach my $e (@events)
{
	push @{ $versions{ $e->{own}{ticket_id} } }, [ $e->{position}, $e->{own}{version} ] if $e->{own};
}
my ($looked, @older) = (0);
foreach my $s (grep { $_->{kind} eq 'snapshot' && $_->{channel} =~ /^visit/ } map { @$_ } @snapshots)
{
	foreach my $t (@{ $s->{body}{tickets} })
	{
		my ($last) = reverse grep { $_->[0] <= $s->{position} } @{ $versions{ $t->{ticket_id} } || [] };
		$looked++;
		push @older, "ticket $t->{ticket_id} at $s->{position}: version $t->{version}, not $last->[1]" if $last && $t->{version} < $last->[1];
	}
}
cmp_ok($looked, '>', 20, 'tickets were looked at');
is(join("\n", @older), '', 'no position is newer than what is shown with it');

# The last events of each are those that were read, and complete.
my @missing;
foreach my $moment (@snapshots[ -($#snapshots < 9 ? $#snapshots + 1 : 10) .. -1 ], \@final)
{
	foreach my $from (grep { $_->{kind} eq 'from' } @$moment)
	{
		my ($s) = grep { $_->{kind} eq 'snapshot' && $_->{channel} eq $from->{channel} } @$moment;
		my $got = join ' ', map { $_->{position} } grep { $_->{kind} eq 'event' && $_->{channel} eq $from->{channel} } @$moment;
		my ($kind, $id, $zone) = split /:/, $from->{channel};
		my $wanted = join ' ', map { $_->{position} } grep { $_->{position} > $from->{position} && $_->{position} <= $s->{position} && ($kind eq 'staff' ? $_->{full}{branch_id} : $kind eq 'visit' ? ($_->{visit} // 0) == $id :
			$_->{public} && $_->{full}{branch_id} && ($kind ne 'queue' || ($_->{queue} // 0) == $id) && (!$zone || !defined $_->{zone} || $_->{zone} == $zone)) } @events;
		push @missing, "$from->{channel} after $from->{position}: $got, not $wanted" if $got ne $wanted;
	}
}
is(join("\n", @missing), '', 'after "from" each channel has what was read');

$gateway->end;
$node->stop;
done_testing();
