# Claims and finishes against the scheduler, which ends what is not claimed and what has expired: at the
# moment itself, from many sessions at once, and over a crash.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('ends', 'qms.workers = on', q{qms.mock_now = '2030-05-06 12:00+00'});
my $clock = Clock->new($node);

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

ask(q{SELECT FROM qms.create_organization('One'); SELECT FROM qms.create_application(1, 'Shop');
	SELECT FROM qms.create_queue('Room', application_id => 1, kind => 'release', settings => '{"token_life": "10 min", "claim_window": "5 min", "max_active": 400}');
	CREATE TABLE person (n int PRIMARY KEY, token qms.ticket_token, access text);
	INSERT INTO person SELECT n, (qms.join_queue(1, subject => 'p' || n)).token FROM generate_series(1, 400) n});
is(ask(q{SELECT count(*) FROM qms.release_next(1, 1000)}), 400, 'all are let in');
my $numbers = q{SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM (SELECT state FROM qms.ticket UNION ALL SELECT state FROM qms.ticket_history) t GROUP BY 1) s};
my $inside = q{SELECT (SELECT inside FROM qms.release_status(1)) = (SELECT count(*) FROM qms.ticket WHERE state IN ('released', 'admitted'))};

# claim FROM TO: two sessions claim at once, each from its own end; what they are answered is counted.
sub at_once
{
	my ($statement, @ranges) = @_;
	my @running = map {
		my ($out, $err) = ('', '');
		my $sql = "DO \$\$ DECLARE n int; BEGIN FOR n IN SELECT g FROM generate_series($_) g LOOP BEGIN EXECUTE \$q\$$statement\$q\$ USING n; EXCEPTION WHEN SQLSTATE 'QM531' OR SQLSTATE 'QM402' THEN NULL; END; COMMIT; END LOOP; END \$\$";
		{ out => \$out, err => \$err, h => IPC::Run::start([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $sql ], '>', \$out, '2>', \$err) };
	} @ranges;
	return sub {
		$_->{h}->finish foreach @running;
		return join '', map { ${ $_->{err} } } @running;
	};
}

# Half of them claim before, the others while their time runs out.
ask(q{UPDATE person SET access = (qms.claim_access(token)).access_token WHERE n <= 100});
my $claims = at_once('UPDATE person SET access = (qms.claim_access(token)).access_token WHERE n = $1', '101, 400', '400, 101, -1');
$clock->at('2030-05-06 12:05+00');
is($claims->(), '', 'claiming while the claims expire: each is answered');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM qms.ticket WHERE state = 'released'}, 'nobody is left who could claim');
is(ask(q{SELECT count(*) FROM qms.ticket t JOIN person p ON p.n = t.ticket_id WHERE (t.state = 'admitted') IS DISTINCT FROM (p.access IS NOT NULL)}), 0, 'who has a token is in');
is(ask(q{SELECT count(*) FROM qms.ticket_history t JOIN person p ON p.n = t.ticket_id WHERE p.access IS NOT NULL OR t.state <> 'expired' OR t.ended_from <> 'released'}), 0, '... who has none has expired');
is(ask(q{SELECT count(*) FROM qms.ticket} ) + ask(q{SELECT count(*) FROM qms.ticket_history}), 400, 'and nobody is in both places');
is(ask($inside), 't', 'the number inside is right');
note ask($numbers);

# Finish and verify while the tokens expire.
my $finishes = at_once(q{SELECT qms.finish_visit(access) FROM person WHERE n = $1 AND access IS NOT NULL}, '1, 400', '400, 1, -1');
$clock->at('2030-05-06 12:10+00');
$clock->at('2030-05-06 12:16+00');
is($finishes->(), '', 'finishing while the tokens expire: each is answered');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM qms.ticket}, 'nobody is in any more');
is(ask(q{SELECT count(*) = 0 FROM qms.ticket_history h WHERE ended_from = 'admitted' AND state NOT IN ('completed', 'expired')}), 't', 'each was finished or expired');
is(ask(q{SELECT count(*) FROM (SELECT ticket_id FROM qms.event WHERE kind IN ('ticket.completed', 'ticket.expired') GROUP BY 1 HAVING count(*) <> 1) e}), 0, 'each ended once');
is(ask($inside), 't', 'the number inside is right');
is(ask(q{SELECT DISTINCT coalesce(reason, 'valid') FROM person, qms.verify_access(access) WHERE access IS NOT NULL}), 'expired', 'nobody comes in with a token that has expired');
note ask($numbers);

# The first claims of an organization, all at once, make one key.
ask(q{SELECT FROM qms.create_organization('Two'); SELECT FROM qms.create_application(2, 'Fair'); SELECT FROM qms.create_queue('Hall', application_id => 2, kind => 'release');
	INSERT INTO person SELECT n, (qms.join_queue(2, subject => 'f' || n)).token FROM generate_series(501, 540) n; SELECT FROM qms.release_next(2, 40)});
is(at_once('UPDATE person SET access = (qms.claim_access(token)).access_token WHERE n = $1', map { my $from = 501 + 10 * $_; "$from, " . ($from + 9) } 0 .. 3)->(), '', 'four sessions claim at once');
is(ask(q{SELECT (SELECT count(*) FROM qms.access_keys(2)) || ' ' || count(*) FILTER (WHERE valid) FROM person, qms.verify_access(access) WHERE n BETWEEN 501 AND 540}), '1 40', 'the first claims make one key');
ask(q{SELECT count(qms.finish_visit(access)) FROM person WHERE n BETWEEN 501 AND 540});

# What a crash leaves: the ticket, its token and its place say the same.
ask(q{INSERT INTO person SELECT n, (qms.join_queue(1, subject => 'q' || n)).token FROM generate_series(1001, 1100) n});
is(ask(q{SELECT count(*) FROM qms.release_next(1, 1000)}), 100, 'others are let in');
my $crash = at_once('UPDATE person SET access = (qms.claim_access(token)).access_token WHERE n = $1', '1001, 1100');
Qms::poll(sub { ask(q{SELECT count(*) > 5 FROM person WHERE n > 1000 AND access IS NOT NULL}) eq 't' });
$node->stop('immediate');
$crash->();
$node->start;
is(ask(q{SELECT count(*) FROM qms.ticket t JOIN person p ON p.token::text = p.token::text AND p.n > 1000 AND t.subject = 'q' || p.n WHERE (t.state = 'admitted') IS DISTINCT FROM (p.access IS NOT NULL)}), 0, 'after a crash, who has a token is in, and nobody else');
is(ask(q{SELECT count(*) FROM person p, qms.claim_access(p.token) c WHERE n > 1000 AND p.access IS NOT NULL AND c.access_token IS DISTINCT FROM p.access}), 0, 'who claims again gets the same token');
is(ask(q{SELECT count(*) FROM person p, qms.claim_access(p.token) c WHERE n > 1000}), 100, 'the others claim now');
is(ask(q{SELECT count(*) FROM person p, qms.claim_access(p.token) c, qms.verify_access(c.access_token, 'q' || n) v WHERE n > 1000 AND v.valid}), 100, 'all come in');
is(ask($inside), 't', 'the number inside is right');

# Rows of tokens go an hour after they have expired.
is(ask(q{SELECT count(*) > 100 FROM qms_internal.access_token}), 't', 'there are rows of tokens');
$clock->at('2030-05-06 15:30+00');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM qms_internal.access_token}, 'the scheduler removes them some time after they have expired');
is(ask(q{SELECT DISTINCT reason FROM person, qms.verify_access(access) WHERE access IS NOT NULL}), 'expired', '... and they are refused as before');

$node->stop;
done_testing();
