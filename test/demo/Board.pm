# Board.pm: shows what happens: a picture redrawn in place on a terminal, lines otherwise.
#
# What happens comes from the stream: LISTEN is the doorbell, events_since tells, both as the
# reception.  How many wait and how long, which everybody may see, is asked as role display, the
# rest of the queues as the reception; what an event does not say of its ticket, as the superuser.
package Board;

use strict;
use warnings;
use utf8;

use JSON::PP ();
use Office;
use Room;
use Time::HiRes qw(sleep time);

my %sgr = (
	bar => '1;37;44', head => '1;36', dim => '2', number => '1', called => '1;33', serving => '32',
	paused => '35', bad => '31', vip => '1;35', good => '32', plain => '');
my %words = (
	en => {
		now => 'NOW SERVING', queues => 'QUEUES', log => 'LOG', free => 'free', closed => 'closed', paused => 'break',
		called => 'please come', serving => 'serving', waiting => 'waiting', on_hold => 'on hold', done => 'served',
		room => 'WAITING ROOM', display => 'display:', expected => 'expected wait', line => 'next', office => 'office time', doors => 'open until', shut => 'closed' },
	de => {
		now => 'AUFRUF', queues => 'WARTESCHLANGEN', log => 'PROTOKOLL', free => 'frei', closed => 'zu', paused => 'Pause',
		called => 'bitte kommen', serving => 'in Arbeit', waiting => 'warten', on_hold => 'geparkt', done => 'bedient',
		room => 'WARTERAUM', display => 'Anzeige:', expected => 'Wartezeit etwa', line => 'dran', office => 'Bürozeit', doors => 'offen bis', shut => 'geschlossen' });

# jsonb as DBD::Pg hands it over: characters, not bytes.
sub from_json
{
	return JSON::PP->new->decode($_[0]);
}

sub new
{
	my ($class, $office, $option) = @_;
	my $self = bless {
		office => $office, option => $option, words => $words{ $option->{lang} },
		log => [], drawn => 0, listed => 0, trouble => [] }, $class;

	$self->{$_} = Office::connect($office, $_) foreach qw(display reception postgres);
	$self->{stream} = Office::connect($office, 'reception');
	my $locale = $ENV{LC_ALL} || $ENV{LC_CTYPE} || $ENV{LANG} || '';
	$self->{utf8} = $locale =~ /utf-?8/i;
	$self->{picture} = -t STDOUT && !$option->{plain} && ($ENV{TERM} || 'dumb') ne 'dumb';
	$self->{color} = $option->{color} && $self->{picture};
	$self->{info} = $self->{display}->selectrow_hashref(q{SELECT * FROM qms.branch_info('auenfeld', 'citizens')});
	foreach my $thing (qw(zone service queue counter))
	{
		$self->{$thing}{ $_->{"${thing}_id"} } ||= $_ foreach @{ from_json($self->{info}{"${thing}s"}) };
	}
	$self->{clerk} = { map { @$_ } @{ $self->{reception}->selectall_arrayref(
				q{SELECT staff_id, split_part(display_name, ' ', 1) FROM qms.staff_members}) } };
	$self->{stream}->do('LISTEN qms');
	@$self{qw(epoch position)} = $self->{stream}->selectrow_array('SELECT epoch, last_position FROM qms.stream_position()');
	$self->{look} = 0;
	if ($self->{picture})
	{
		$SIG{WINCH} = sub { $self->{size} = undef; $self->{drawn} = 0 };
		print "\e[?1049h\e[?25l";
		$self->{open} = 1;
	}
	else
	{
		$self->lines(sprintf 'A morning at the %s, %s.  1 s here is %g min there; waits are in seconds of this clock.',
			$self->{info}{name}, $self->{info}{organization_name}, 1 / $office->{unit});
		$self->lines($office->{display} ? "Display:  $office->{display}" : "There is $office->{no_display}.");
		$self->lines("Look inside:  psql -h $office->{dir} -p $office->{port} -U postgres town");
	}
	return $self;
}

sub close
{
	my ($self) = @_;

	return unless delete $self->{open};
	print "\e[?25h\e[?1049l";
	STDOUT->flush;
	return;
}

# For terminals without UTF-8.
sub encoded
{
	my ($self, $text) = @_;

	if (!$self->{utf8})
	{
		$text =~ tr{·─–…█}{.\-\-.#};
		$text =~ s/ä/ae/g; $text =~ s/ö/oe/g; $text =~ s/ü/ue/g; $text =~ s/Ü/Ue/g; $text =~ s/ß/ss/g;
		$text =~ s/[^\x00-\x7f]/?/g;
	}
	utf8::encode($text);
	return $text;
}

sub lines
{
	my ($self, @lines) = @_;

	print map { $self->encoded("$_\n") } @lines;
	STDOUT->flush;
	return;
}

sub name
{
	my ($self, $thing, $language) = @_;
	my $names = $thing->{names};

	$names = from_json($names) if $names && !ref $names;
	return $names->{ $language || $self->{option}{lang} } || $thing->{name};
}

# The clock on the wall of the office: it opens at nine.
sub wall_clock
{
	my ($self, $at) = @_;
	my $minutes = 9 * 60 + ($at - $self->{office}{start}) / $self->{office}{unit};

	return sprintf '%02d:%02d', $minutes / 60 % 24, $minutes % 60;
}

# An event of the stream as somebody would tell it.
sub sentence
{
	my ($self, $event) = @_;
	my $data = $event->{data} ? from_json($event->{data}) : {};
	my $clerk = $event->{actor_kind} eq 'staff' ? $self->{clerk}{ $event->{actor_id} } : undef;
	my $counter = $self->{counter}{ $event->{counter_id} || $data->{from_counter_id} || 0 };
	my $queue = $self->{queue}{ $event->{queue_id} || 0 };
	my $at = $counter ? $self->name($counter, 'en') : '';
	my $service = $event->{service_id} ? $self->name($self->{service}{ $event->{service_id} }, 'en') : 'something';
	my $vip = ($event->{class} || '') eq 'vip' ? 'VIP, ' : '';
	my $language = $event->{language} || 'en';
	my $kind = $event->{kind};

	if ($kind eq 'ticket.called')
	{
		my $to = $language eq 'de' ? 'bitte zu ' . $self->name($counter, 'de') : "please come to $at";
		return ('called', $to . ($vip ? ' (VIP)' : ''));
	}
	return ($vip ? 'vip' : 'plain', "joins for $service, $vip" . ($data->{hold_kind} ? 'on hold' : sprintf(
				'%d ahead, %s expected', $event->{quoted_n} || 0, $self->range($event->{quoted_p10}, $event->{quoted_p90}))))
	  if $kind eq 'ticket.joined';
	return ('called', $language eq 'de' ? 'zweiter Aufruf: ' . $self->name($counter, 'de') : "second call to $at")
	  if $kind eq 'ticket.recalled';
	return ('dim', "is served at $at") if $kind eq 'ticket.serving';
	return ('good', "done at $at") if $kind eq 'ticket.completed';
	return ('bad', "did not come to $at") if $kind eq 'ticket.no_show';
	return ('paused', ($data->{hold_kind} || '') eq 'other_ticket' ? "pauses: called for the other errand"
		: 'on hold: ' . ($data->{reason} || $data->{hold_kind}) . ($at ? ", then back to $at" : ''))
	  if $kind eq 'ticket.held';
	return ('paused', 'waits again, at the old place') if $kind eq 'ticket.resumed';
	return ('paused', 'lets ' . ($data->{places} || 'some') . ' others go first') if $kind eq 'ticket.deferred';
	return ('paused', "sent from $at to " . $self->name($queue, 'en') . ": $data->{note}") if $kind eq 'ticket.transferred';
	return ('bad', ($data->{outcome} || '') eq 'left' ? 'gives up and leaves' : 'cancelled') if $kind eq 'ticket.cancelled';
	return ('bad', 'sent home: the office closes') if $kind eq 'ticket.expired';
	return ('bad', 'undo: ' . ($data->{undone_kind} || '') =~ s/^ticket\.//r . " taken back at $at") if $kind eq 'ticket.undone';
	return ('dim', 'has a second errand: one visit, two tickets') if $kind eq 'ticket.updated' && $data->{shared_visit};
	return ('dim', "$at opens" . ($clerk ? ": $clerk" : '')) if $kind eq 'counter.opened';
	return ('dim', "$at pauses" . ($data->{reason} ? ": $data->{reason}" : '')) if $kind eq 'counter.paused';
	return ('dim', "$at goes on") if $kind eq 'counter.resumed';
	return ('dim', "$at closes") if $kind eq 'counter.closed';
	return ('bad', $self->name($queue, 'en') . ' takes no more tickets') if $kind eq 'queue.closed';
	return ('dim', $self->name($queue, 'en') . ' takes tickets') if $kind eq 'queue.opened';
	return ('dim', $self->name($queue, 'en') . ' pauses') if $kind eq 'queue.paused';
	return ('dim', $kind);
}

sub add_to_log
{
	my ($self, $at, $number, $style, $text) = @_;

	push @{ $self->{log} }, [ $self->wall_clock($at), $number, $style, $text ];
	shift @{ $self->{log} } while @{ $self->{log} } > 200;
	$self->lines(sprintf '%s  %-5s %s', $self->wall_clock($at), $number, $text) unless $self->{picture};
	$self->{drawn} = 0;
	return;
}

# What a person said: refusals are no events, because a call that fails changes nothing.
sub said
{
	my ($self, $kind, $text) = @_;

	push @{ $self->{trouble} }, $text if $kind eq 'error';
	$self->add_to_log(time, '', $kind eq 'room' ? 'plain' : 'bad', $text);
	return;
}

# wait(SECONDS): until the doorbell rings, at most that long.
sub wait
{
	my ($self, $seconds) = @_;
	my $bits = '';

	vec($bits, $self->{stream}{pg_socket}, 1) = 1;
	select $bits, undef, undef, $seconds;
	return;
}

# Has somebody rung?  Once a second we look all the same: a doorbell is no more than that.
sub is_rung
{
	my ($self) = @_;
	my $rung = time - $self->{look} >= 1;

	while ($self->{stream}->pg_notifies)
	{
		$rung = 1;
	}
	$self->{look} = time if $rung;
	return $rung;
}

# The stream from where we are, in order.  The server lives no longer than we do, so its epoch
# does not change: an error is an error here.
sub read_stream
{
	my ($self) = @_;

	return unless $self->is_rung;
	while (1)
	{
		my $events = $self->{stream}->selectall_arrayref(<<'SQL', { Slice => {} }, "staff:$self->{office}{branch}", @$self{qw(position epoch)});
SELECT position, extract(epoch FROM at) AS at, kind, ticket_id, number, queue_id, counter_id, actor_kind, actor_id, data
FROM qms.events_since(?, ?, 1000, ?)
SQL
		foreach my $event (@$events)
		{
			$self->{position} = $event->{position};
			$self->add_details($event) if $event->{ticket_id};
			$self->add_to_log($event->{at}, $event->{number} // '', $self->sentence($event));
		}
		last if @$events < 1000;
	}
	return;
}

# Language, service, class and what was promised: of the ticket, wherever it is by now.
sub add_details
{
	my ($self, $event) = @_;
	my $ticket = $self->{postgres}->selectrow_hashref(<<'SQL', undef, ($event->{ticket_id}) x 2);
SELECT t.service_id, t.language, c.name AS class, t.quoted_n,
	extract(epoch FROM t.quoted_p10) AS quoted_p10, extract(epoch FROM t.quoted_p90) AS quoted_p90
FROM (
	SELECT service_id, language, customer_class_id, quoted_n, quoted_p10, quoted_p90 FROM qms.ticket WHERE ticket_id = ?
	UNION ALL
	SELECT service_id, language, customer_class_id, quoted_n, quoted_p10, quoted_p90 FROM qms.ticket_history WHERE ticket_id = ?
	LIMIT 1) t
	LEFT JOIN qms.customer_class c ON c.customer_class_id = t.customer_class_id
SQL
	@$event{ keys %$ticket } = values %$ticket if $ticket;
	return;
}

# The last events may still be on their way through the publisher.
sub catch_up
{
	my ($self) = @_;
	my ($last) = $self->{postgres}->selectrow_array('SELECT max(event_id) FROM qms.event');

	foreach (1 .. 50)
	{
		my ($done) = $self->{postgres}->selectrow_array('SELECT count(*) FROM qms_internal.event_position WHERE event_id = ?', undef, $last);
		last if $done;
		$self->wait(0.1);
		$self->is_rung;
	}
	$self->{look} = 0;
	return;
}

sub range
{
	my ($self, $low, $high) = @_;

	return '?' unless defined $low && defined $high;
	return $low == $high ? sprintf('%.0f s', $low) : sprintf('%.0f–%.0f s', $low, $high);
}

# The state of counters and queues, by the functions that displays and staff use.
sub read_state
{
	my ($self) = @_;
	my (%at, %queue);
	my $info = $self->{display}->selectrow_hashref(q{SELECT * FROM qms.branch_info('auenfeld', 'citizens')});
	my %status = map { $_->{counter_id} => $_->{status} } @{ from_json($info->{counters}) };

	foreach my $id (sort { $a <=> $b } keys %{ $self->{queue} })
	{
		my $state = $self->{display}->selectrow_hashref(<<'SQL', undef, $id);
SELECT status, waiting, serving, extract(epoch FROM wait_p10) AS p10, extract(epoch FROM wait_p50) AS p50,
	extract(epoch FROM wait_p90) AS p90 FROM qms.queue_status(?)
SQL
		$at{ $_->{counter_id} } = $_ foreach @{ from_json($state->{serving}) };
		$state->{line} = $self->{reception}->selectall_arrayref(
			'SELECT number, customer_class, state FROM qms.waiting_list(queue_id => ?, max_rows => 12)', { Slice => {} }, $id);
		$queue{$id} = $state;
	}
	foreach my $row (@{ $self->{reception}->selectall_arrayref('SELECT * FROM qms.branch_status(?)',
				{ Slice => {} }, $self->{office}{branch}) })
	{
		$queue{ $row->{queue_id} }{$_} = $row->{$_} foreach qw(on_hold served_today);
	}
	return (\%at, \%status, \%queue);
}

# show([NOW]): what is new; the picture when something happened, and once a second anyway.
sub show
{
	my ($self, $now) = @_;

	$self->read_stream;
	if ($self->{picture})
	{
		return unless $now || time - $self->{drawn} >= 1;
		$self->{drawn} = time;
		$self->draw;
	}
	elsif (time - $self->{listed} >= 10)
	{
		$self->{listed} = time;
		$self->list;
	}
	return;
}

# Without a terminal: the state in two lines, every ten seconds.
sub list
{
	my ($self) = @_;
	my ($at, $status, $queues) = $self->read_state;
	my @counters = map {
		my $here = $at->{$_};
		sprintf '%s %s', $self->{counter}{$_}{name} =~ s/\D+//r,
		  $here ? "$here->{number} $here->{state}" : $status->{$_} eq 'open' ? 'free' : $status->{$_};
	} sort { $a <=> $b } keys %{ $self->{counter} };
	my @queues = map {
		sprintf '%s %d waiting, %s expected', $self->{queue}{$_}{prefix}, $queues->{$_}{waiting},
		  $self->range(@{ $queues->{$_} }{qw(p10 p90)});
	} sort { $a <=> $b } keys %$queues;

	$self->lines(sprintf('%s  ----- counters: %s', $self->wall_clock(time), join(' | ', @counters)),
		sprintf('       ----- queues: %s', join(' | ', @queues)), '       ----- waiting room: ' . Room::line($self));
	return;
}

sub size
{
	my ($self) = @_;

	$self->{size} ||= do
	{
		my ($rows, $columns) = (`stty size </dev/tty 2>/dev/null` || '') =~ /^(\d+) (\d+)$/;
		[ $rows || $ENV{LINES} || 24, $columns || $ENV{COLUMNS} || 80 ];
	};
	return @{ $self->{size} };
}

# fit(WIDTH, [STYLE, TEXT]...): exactly that wide.
sub fit
{
	my ($self, $width, @parts) = @_;
	my $line = '';

	foreach my $part (@parts)
	{
		my ($style, $text) = @$part;
		$text = substr($text, 0, $width - 1) . '…' if length $text > $width && $width > 0;
		$text = '' if $width <= 0;
		$width -= length $text;
		$line .= $self->{color} && $sgr{$style} ? "\e[$sgr{$style}m$text\e[0m" : $text;
	}
	return $line . ' ' x ($width > 0 ? $width : 0);
}

# One counter of the hall: its number in large, so to say.
sub counter_parts
{
	my ($self, $id, $at, $status) = @_;
	my $words = $self->{words};
	my $here = $at->{$id};
	my @name = [ 'plain', sprintf '  %-11s', $self->name($self->{counter}{$id}) ];

	return (@name, [ 'dim', sprintf '%-6s %s', '-', $status->{$id} eq 'open' ? $words->{free} : $words->{ $status->{$id} } ])
	  unless $here;
	my $style = $here->{state} eq 'called' ? 'called' : 'serving';
	return (@name, [ $style eq 'called' ? 'called' : 'number', sprintf '%-6s ', $here->{number} ], [ $style, $words->{ $here->{state} } ]);
}

sub queue_lines
{
	my ($self, $width, $id, $queue) = @_;
	my $words = $self->{words};
	my $bar = '█' x ($queue->{waiting} > 12 ? 12 : $queue->{waiting});
	my @line = map { [ ($_->{customer_class} // '') eq 'vip' ? 'vip' : 'plain', "$_->{number} " ] }
	  grep { $_->{state} eq 'waiting' } @{ $queue->{line} };
	my @first = (
		[ 'number', sprintf '  %-2s', $self->{queue}{$id}{prefix} ],
		[ $queue->{status} eq 'open' ? 'plain' : 'dim', sprintf '%-17s', $self->name($self->{queue}{$id}) ],
		[ $queue->{waiting} > 8 ? 'bad' : 'number', sprintf '%7d', $queue->{waiting} ],
		[ 'plain', sprintf '%9d%9d', $queue->{on_hold}, $queue->{served_today} ],
		[ 'plain', sprintf '%17s   ', $queue->{status} ne 'open' ? $words->{shut}
			: $self->range(@$queue{qw(p10 p90)}) ],
		[ 'called', $bar ]);

	return ($self->fit($width, @first),
		$self->fit($width, [ 'dim', sprintf '    %-6s', @line ? $words->{line} : '' ], @line));
}

sub draw
{
	my ($self) = @_;
	my ($rows, $width) = $self->size;
	my ($at, $status, $queues) = $self->read_state;
	my $words = $self->{words};
	my $office = $self->{office};
	my @zones = sort { $a <=> $b } keys %{ $self->{zone} };
	my $half = int($width / 2);
	my $open = time < $office->{doors};
	my @out;

	my $left = ' ' . $self->name($self->{info}) . ' · ' . $self->name(
		{ name => $self->{info}{organization_name}, names => $self->{info}{organization_names} });
	my $right = sprintf '%s %s   %s ', $words->{office}, $self->wall_clock(time), $open ? "$words->{doors} " . $self->wall_clock($office->{doors}) : $words->{shut};
	push @out, $self->fit($width, [ 'bar', $left . ' ' x ($width - length("$left$right") > 0 ? $width - length("$left$right") : 1) . $right ]);
	push @out, '', $self->fit($width, [ 'head', $words->{now} ]);
	push @out, join '', map { $self->fit($half, [ 'dim', '  ' . $self->name($self->{zone}{$_}) ]) } @zones;
	my @columns = map {
		my $zone = $_;
		[ grep { $self->{counter}{$_}{zone_id} == $zone } sort { $a <=> $b } keys %{ $self->{counter} } ]
	} @zones;
	while (grep { @$_ } @columns)
	{
		push @out, join '', map {
			my $id = shift @$_;
			$self->fit($half, $id ? $self->counter_parts($id, $at, $status) : ());
		} @columns;
	}
	push @out, '', $self->fit($width, [ 'head', sprintf '%-21s', $words->{queues} ],
		[ 'dim', sprintf '%7s%9s%9s%17s', @$words{qw(waiting on_hold done expected)} ]);
	push @out, map { $self->queue_lines($width, $_, $queues->{$_}) } sort { $a <=> $b } keys %$queues;
	push @out, '', $self->fit($width, [ 'head', "$words->{room}  " ], [ 'plain', Room::line($self) ]), '', $self->fit($width, [ 'head', $words->{log} ]);

	my $room = $rows - @out - 2;
	$room = 1 if $room < 1;
	my @log = @{ $self->{log} };
	@log = @log[ -$room .. -1 ] if @log > $room;
	push @out, map { $self->fit($width, [ 'dim', "  $_->[0]  " ], [ 'number', sprintf '%-5s', $_->[1] ], [ $_->[2], " $_->[3]" ]) } @log;
	push @out, '' while @out < $rows - 2;
	push @out, $self->fit($width, [ 'bar', $office->{display} ? " $words->{display} $office->{display}" : " $office->{no_display}" ]);
	push @out, $self->fit($width - 1, [ 'dim', sprintf ' 1 s = %g min   psql -h %s -p %d -U postgres town',
			1 / $office->{unit}, @$office{qw(dir port)} ]);
	print "\e[H", join("\e[K\r\n", map { $self->encoded($_) } @out[ 0 .. $rows - 1 ]), "\e[K\e[J";
	STDOUT->flush;
	return;
}

# What the morning was, from the log and the history.
sub summary
{
	my ($self, $how) = @_;
	my $row = $self->{postgres}->selectrow_hashref(<<'SQL');
WITH call AS (
	SELECT j.ticket_id, min(c.at) - min(j.at) AS wait
	FROM qms.event j JOIN qms.event c ON c.ticket_id = j.ticket_id AND c.kind = 'ticket.called'
	WHERE j.kind = 'ticket.joined' GROUP BY j.ticket_id)
SELECT (SELECT count(*) FROM qms.event WHERE kind = 'ticket.joined' AND branch_id IS NOT NULL) AS joined,
	count(*) FILTER (WHERE state = 'completed') AS served,
	count(*) FILTER (WHERE state = 'no_show') AS no_show,
	count(*) FILTER (WHERE state = 'cancelled') AS gave_up,
	count(*) FILTER (WHERE state = 'expired') AS sent_home,
	(SELECT count(*) FROM qms.ticket WHERE branch_id IS NOT NULL) AS open,
	(SELECT count(*) FROM qms.ticket_leg) AS transfers,
	(SELECT extract(epoch FROM avg(wait)) FROM call) AS mean,
	(SELECT extract(epoch FROM percentile_cont(0.9) WITHIN GROUP (ORDER BY wait)) FROM call) AS p90,
	(SELECT count(*) FROM qms.event) AS events
FROM qms.ticket_history WHERE branch_id IS NOT NULL
SQL
	my @lines = (
		'', 'The morning' . ($how ? " ($how)" : '') . ':',
		sprintf('  joined %d, served %d, no-shows %d, gave up %d, sent home at closing time %d',
			@$row{qw(joined served no_show gave_up sent_home)}),
		sprintf('  still there %d, transfers %d, events in the log %d', @$row{qw(open transfers events)}),
		sprintf('  wait until the first call: mean %.1f s, 90 %% below %.1f s (1 s is %g min there)',
			$row->{mean} || 0, $row->{p90} || 0, 1 / $self->{office}{unit}), '  waiting room: ' . Room::line($self));
	push @lines, map { "  PROBLEM: $_" } @{ $self->{trouble} };
	$self->lines(@lines);
	return;
}

1;
