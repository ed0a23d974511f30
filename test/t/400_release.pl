# Timed release on a clock that the test moves: released is S(t), computed here a second time, over
# changes of the rate, pauses, an empty room and a server that was down; and no burst after them.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use Math::BigInt;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('release', 'qms.workers = on', q{qms.mock_now = '2030-01-07 09:00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $usec = 0;					# since 09:00
my $moment = sub
{
	my $at = $_[0] // $usec;
	my $s = int($at / 1_000_000);
	return sprintf '2030-01-07 %02d:%02d:%02d.%06d+00', 9 + int($s / 3600), int($s / 60) % 60, $s % 60, $at % 1_000_000;
};

# S, in the same parts of a person as the extension, but by its own arithmetic.
my $one = Math::BigInt->new('86400000000000000');
my ($parts, $speed, $since) = (Math::BigInt->new(0), 0, 0);
my %per_day = (s => 86400, min => 1440, h => 24);
my $advance = sub { $parts += Math::BigInt->new($speed) * ($usec - $since); $since = $usec; };
my $rate = sub
{
	my ($people, $unit) = $_[0] =~ m{^([\d.]+)/(\w+)$};
	return int($people * 1_000_000 + 0.5) * $per_day{$unit};
};
my $s = sub { $advance->(); return ($parts / $one)->numify };
my $released = sub { return $ask->("SELECT released FROM room.counts('" . ($_[0] // 'hall') . "')") };
my $to = sub { $usec = $_[0]; $clock->at($moment->()); };
my $by = sub { $to->($usec + int($_[0] * 1_000_000)) };

$ask->(slurp_file('test/fixtures/room.sql'));
$clock->settle;

# ---- exact over changes of the rate
$ask->(q{SELECT room.make('hall')});
is($ask->(q{SELECT state FROM qms.release_status(room.id('hall'))}), 'by_hand', 'without a rate nobody is let in');
$ask->(q{SELECT room.fill('hall', 4000)});
$ask->(q{SELECT qms.set_release_rate(room.id('hall'), '7/min')});
($speed, $since) = ($rate->('7/min'), $usec);
my @wrong;
my $check = sub
{
	my ($is, $should) = ($released->(), $s->());
	push @wrong, $moment->() . ": $is, not $should" if $is != $should;
};
srand 7;
foreach my $next ('100/min', '7/min', '0.3/s', '333/h', '600/min', '59.999999/min', '7/min')
{
	foreach (1 .. 4)
	{
		# Late by less than a person at slow rates, by less than the burst at fast ones.
		$by->(0.01 + rand($speed > 86_400_000_000 ? 1.8 : 0.9 * 8.64e10 / $speed));
		$check->();
	}
	$by->(rand 0.3);
	$ask->("SELECT qms.set_release_rate(room.id('hall'), '$next')");
	$advance->();
	$speed = $rate->($next);
}
is(join("\n", @wrong), '', 'released is S(t) at every moment, over seven changes of the rate');

# The moment at which the next one is due is exact.
my $due = $ask->(q{SELECT extract(epoch FROM next_release_at - '2030-01-07 09:00+00') * 1000000 FROM qms.release_status(room.id('hall'))});
my $before = $released->();
$to->($due - 1);
is($released->(), $before, 'a microsecond before it is due nobody is let in');
$to->($due);
is($released->(), $before + 1, 'at the moment one is');
is($s->(), $before + 1, 'as S says');

# ---- pauses: S stands still
$by->(3);
$ask->(q{SELECT qms.pause_queue(room.id('hall'))});
$advance->();
my $kept = $speed;
$speed = 0;
$before = $released->();
is($ask->(q{SELECT state, next_release_at IS NULL FROM qms.release_status(room.id('hall'))}), 'paused|t', 'paused');
$by->(600);
is($released->(), $before, 'nobody is let in during a pause');
$ask->(q{SELECT qms.open_queue(room.id('hall'))});
$advance->();
$speed = $kept;
@wrong = ();
foreach (1 .. 6) { $by->(4.4); $check->(); }
is(join("\n", @wrong), '', 'and S goes on where it stood, with the fraction');
# The same twice while nobody looks: every change counts at its own moment.
my $script = '';
foreach my $status (qw(pause open pause open))
{
	$usec += 1_000_000;
	$script .= "SET qms.mock_now = '" . $moment->() . "'; SELECT qms.${status}_queue(room.id('hall'));\n";
	$advance->();
	$speed = $status eq 'pause' ? 0 : $kept;
}
$ask->($script);
$by->(1.5);
is($released->(), $s->(), 'pauses that the scheduler did not see');

# ---- a server that was down: at most the burst, and then on with the rate
$ask->(q{SELECT qms.set_release_rate(room.id('hall'), '600/min')});
$before = $released->();
$node->stop;
$usec += 600_000_000;
$node->append_conf('postgresql.conf', "qms.mock_now = '" . $moment->() . "'");
unlink $node->data_dir . '/postgresql.auto.conf';
$node->start;
$clock->settle;
is($released->() - $before, 20, 'after ten minutes down: 2 r tau = 20 people, not 6,000');
$before = $released->();
$by->(1);
is($released->() - $before, 10, 'and ten a second from there');
# Slow: one.
$ask->(q{SELECT qms.set_release_rate(room.id('hall'), '6/min')});
$by->(0.000001);
$before = $released->();
$clock->set(do { $usec += 300_000_000; $moment->() });
$clock->settle;
is($released->() - $before, 1, 'a slow rate saves up one person');
$by->(10);
is($released->() - $before, 2, 'and goes on with its fraction');

# ---- an empty room
$ask->(q{SELECT room.make('empty', '{"rate": "60/min"}')});
$by->(1200);
$ask->(q{SELECT room.fill('empty', 10)});
$clock->settle;
is($released->('empty'), 2, 'an empty room saves up two seconds');
$by->(1);
is($released->('empty'), 3, 'then one a second');
$by->(60);
is($ask->(q{SELECT room.counts('empty')}), '(5,5,5)', 'late by a minute: two seconds again');
$by->(100);
$by->(3);
is($ask->(q{SELECT room.counts('empty')}), '(9,9,1)', 'and again');
$by->(2);
$clock->settle;
is($ask->(q{SELECT room.counts('empty')}), '(10,10,0)', 'all of them');
ok($clock->idle, 'the scheduler sleeps');

# ---- a start that was set beforehand
my $opens = $usec + 60_000_000;
$ask->(sprintf q{SELECT room.make('later', '{"rate": "60/min", "opens_at": "%s"}')}, $moment->($opens));
$ask->(q{SELECT room.fill('later', 10)});
is($ask->(q{SELECT state, next_release_at = opens_at FROM qms.release_status(room.id('later'))}), 'not_open_yet|t', 'not open yet');
Qms::fails_with($node, q{SELECT qms.release_next(room.id('later'))}, 'QM306', 'nobody by hand either');
$to->($opens - 1);
is($released->('later'), 0, 'nobody before it opens');
$to->($opens + 1_500_000);
is($released->('later'), 1, 'S begins at the moment, however late we look');
$to->($opens + 2_000_000);
is($released->('later'), 2, 'exactly');

# ---- the clock goes back: nobody twice, and the rate goes on
$before = $released->('later');
$to->($opens - 1_800_000_000);
is($released->('later'), $before, 'half an hour back: nobody');
$ask->(q{SELECT qms.update_queue(room.id('later'), settings => '{"opens_at": null}')});
$by->(2);
is($released->('later') - $before, 2, 'and on from there');

is($ask->('SELECT count(*) FROM room.broken'), 0, 'the books agree with the tickets');
done_testing();
