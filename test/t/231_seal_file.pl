# Keys of personal data in a file that no dump carries: who may read it, rotation, moving there from the table.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $place = PostgreSQL::Test::Utils::tempdir();
my $file = "$place/seal.key";
my $node = Qms::node('seal_file', 'qms.workers = on', q{qms.mock_now = '2030-05-06 12:00+00'}, "qms.seal_key_file = '$file'");
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

sub write_file
{
	my ($mode, @lines) = @_;

	unlink $file;
	append_to_file($file, join('', map { "$_\n" } @lines));
	chmod $mode, $file;
	# What a session knows of the file may be a second old; a new one looks.
	return;
}
my @key = map { join('', map { sprintf '%02x', rand 256 } 1 .. 32) } 0 .. 3;
my $join = q{DO $$ BEGIN PERFORM qms.join_queue(queue_id => 1, contact => '{"phone": "+49 170 5551234"}'); END $$;
	SELECT substring(contact->>'sealed' FROM '^1\.(\w+)\.') || ' ' || substring(contact->'find'->>0 FROM '^(\w+)\.') FROM qms.ticket ORDER BY ticket_id DESC LIMIT 1};
my $sealed = q{SELECT coalesce(string_agg(DISTINCT substring(contact->>'sealed' FROM '^1\.(\w+)\.'), ' ' ORDER BY substring(contact->>'sealed' FROM '^1\.(\w+)\.')), '')
	FROM (SELECT contact FROM qms.ticket UNION ALL SELECT contact FROM qms.ticket_history) t WHERE contact IS NOT NULL};

$ask->(q{SELECT organization_id FROM qms.create_organization('City'); SELECT branch_id FROM qms.create_branch(1, 'Hall'); SELECT queue_id FROM qms.create_queue('Q', 1); SELECT counter_id FROM qms.create_counter(1, 'One', '{1}')});
is($ask->(q{SELECT count(*) FROM qms_internal.signing_key WHERE purpose ~ 'seal'}), '0', 'with a file no key is made in the database');
Qms::fails_with($node, $join, 'QM802', 'without the file no contact is taken');
is($ask->(q{SELECT number FROM qms.join_queue(1)}), 'A001', 'everything else is');

# ---- the file must be nobody else's
my @good = ("# keys of personal data", "seal 1 $key[0]", '', "  seal_index 1 $key[1]  ");
foreach my $case ([ 0644, 'others may read it' ], [ 0640, 'the group may read it' ], [ 0622, 'others may write it' ], [ 0700, undef ], [ 0600, undef ], [ 0400, undef ])
{
	my ($mode, $why) = @$case;

	write_file($mode, @good);
	if ($why)
	{
		Qms::fails_with($node, $join, 'QM802', sprintf('%04o: %s', $mode, $why));
	}
	else
	{
		is($ask->($join), 'f1 f1', sprintf('%04o: it is used', $mode));
	}
}
foreach my $case ([ 'no number', "seal $key[0]" ], [ 'a short key', 'seal 1 ' . substr($key[0], 2) ], [ 'a long key', "seal 1 $key[0]00" ], [ 'letters', 'seal 1 ' . 'x' x 64 ], [ 'a number too high', "seal 65536 $key[0]" ],
	[ 'something behind it', "seal 1 $key[0] x" ], [ 'another purpose', "ticket_token 1 $key[0]" ], [ 'twice the same number', "seal 2 $key[0]", "seal 2 $key[1]" ], [ 'no key to find by', "seal 1 $key[0]" ], [ 'nothing' ])
{
	my ($what, @lines) = @$case;

	write_file(0600, @lines);
	Qms::fails_with($node, $join, 'QM802', "refused: $what");
}
unlink $file;
mkdir $file;
Qms::fails_with($node, $join, 'QM802', 'refused: a folder');
rmdir $file;
my ($rc, $out, $err) = $node->psql('postgres', $join);
unlike($err, qr/$key[0]|$key[1]/, 'no error shows a key');
unlike(slurp_file($node->logfile), qr/$key[0]|$key[1]/, 'nor does the log');
unlike(slurp_file($node->logfile), qr/\b[0-9a-f]{64}\b/, 'of any kind');
write_file(0600, @good);
$ask->(q{CREATE ROLE somebody LOGIN});
is($node->safe_psql('postgres', q{SHOW qms.seal_key_file}), $file, 'a superuser sees where it is');
like(($node->psql('postgres', q{SET ROLE somebody; SHOW qms.seal_key_file}))[2], qr/must be/, 'others do not');

# ---- a dump carries neither keys nor what they open
command_ok([ "$bin/pg_dump", '-f', "$place/plain", $node->connstr('postgres') ], 'pg_dump');
my $dump = slurp_file("$place/plain");
unlike($dump, qr/5551234|$key[0]|$key[1]/, 'the dump has neither a contact nor a key');
unlike($dump, qr/\\\\x(?:$key[0]|$key[1])/i, 'in no form');
$ask->('CREATE DATABASE again');
command_ok([ "$bin/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', "$place/out", '-f', "$place/plain", '-d', $node->connstr('again') ], 'restored');
my $contacts = q{SELECT count(*) FROM qms.ticket t, qms.get_ticket(t.ticket_id) d WHERE d.contact = '{"phone": "+49 170 5551234"}'};
is($node->safe_psql('again', $contacts), '3', 'who has the file opens it');
rename $file, "$file.away";
like(($node->psql('again', $contacts))[2], qr/cannot be used/, 'who has not does not');
is($node->safe_psql('again', q{SELECT count(*) FROM qms.queue_status(1)}), '1', 'and goes on without');
rename "$file.away", $file;
$ask->('DROP DATABASE again');

# ---- rotation: another line; the scheduler seals anew
Qms::fails_with($node, q{SELECT qms.rotate_seal_key()}, '55000', 'the file is rotated by hand');
write_file(0600, @good, "seal 2 $key[2]");
is($ask->($join), 'f2 f1', 'the highest number seals');
is($ask->($contacts), '4', 'lower ones open');
$ask->(q{SELECT qms.open_counter(1); SELECT qms.call_next(1); SELECT qms.call_next(1, 'completed'); SELECT qms.call_next(1, 'completed')});
is($ask->($sealed), 'f1 f2', 'old and new ones are there, in history too');
$clock->at('2030-05-06 13:01+00');
Qms::wait_for($node, $sealed, 'within the hour all are sealed with the new one', 'f2');
$ask->(q{SELECT qms.close_queue(1)});
write_file(0600, "seal 2 $key[2]", "seal_index 1 $key[1]");
is($ask->(q{SELECT count(*) FROM (SELECT ticket_id FROM qms.ticket UNION ALL SELECT ticket_id FROM qms.ticket_history) t, qms.get_ticket(t.ticket_id) d WHERE d.contact IS NOT NULL}), '4', 'the old one is not needed any more');
is($ask->(q{SELECT count(*) FROM qms.find_tickets(1, '+49 170 5551234')}), '4', 'they are found');
$ask->(q{SELECT qms.open_queue(1)});
write_file(0600, "seal 2 $key[2]", "seal_index 1 $key[1]", "seal_index 2 $key[3]");
is($ask->($join), 'f2 f2', 'the key to find by is rotated in the same way');
is($ask->(q{SELECT count(*) FROM qms.find_tickets(1, '+49 170 5551234')}), '5', 'and found under both');
$clock->at('2030-05-06 14:02+00');
# A transaction that ran just then makes it look again a while later, on a clock that stands still unless we move it.
my $all_new = q{SELECT bool_and(contact->'find'->>0 ~ '^f2\.') FROM qms.ticket WHERE contact IS NOT NULL};
foreach my $hour (15 .. 20)
{
	last if Qms::poll(sub { $ask->($all_new) eq 't' }, 3);
	$clock->at("2030-05-06 $hour:03+00");
}
is($ask->($all_new), 't', 'until all are under the new one');

# ---- from the table to the file, and a session that was there all the time
$ask->('CREATE DATABASE moved');
$node->adjust_conf('postgresql.conf', 'qms.seal_key_file', q{''});
$node->reload;
Qms::poll(sub { $ask->('SHOW qms.seal_key_file') eq '' });
my $moved = sub { return $node->safe_psql('moved', $_[0]) };
# Not before every session knows of the file.
my $done = sub { return Qms::poll(sub { $moved->('SELECT done FROM qms.reseal()') eq 't' }) };
$moved->(q{CREATE EXTENSION qms; SELECT organization_id FROM qms.create_organization('City'); SELECT branch_id FROM qms.create_branch(1, 'Hall'); SELECT queue_id FROM qms.create_queue('Q', 1)});
is($moved->($join), 't1 t1', 'keys in the table');
$moved->(q{SELECT qms.create_customer(1, 'Eva')});
$node->adjust_conf('postgresql.conf', 'qms.seal_key_file', "'$file'");
$node->reload;
Qms::poll(sub { $ask->('SHOW qms.seal_key_file') eq $file });
is($moved->($join), 'f2 f2', 'keys in the file');
$done->();
is($moved->($sealed), 'f2', 'all has moved there');
$moved->(q{DELETE FROM qms_internal.signing_key WHERE purpose ~ 'seal'});
is($moved->(q{SELECT count(*) FROM qms.find_tickets(1, '5551234') WHERE contact IS NOT NULL}), '2', 'the keys of the table are not needed any more');
is($moved->(q{SELECT name FROM qms.get_customer(1)}), 'Eva', 'nor for customers');

# ---- off: in clear, and sealed when it is on again
$node->append_conf('postgresql.conf', 'qms.seal_personal_data = off');
$node->reload;
Qms::poll(sub { $ask->('SHOW qms.seal_personal_data') eq 'off' });
$moved->(q{SELECT qms.join_queue(queue_id => 1, contact => '{"phone": "123456"}'), qms.create_customer(1, 'Bob')});
is($moved->(q{SELECT contact FROM qms.ticket ORDER BY ticket_id DESC LIMIT 1}), '{"phone": "123456"}', 'off: in clear, as the DBA wants');
is($moved->(q{SELECT name FROM qms.customer ORDER BY customer_id DESC LIMIT 1}), 'Bob', 'names too');
is($moved->(q{SELECT count(*) FROM qms.find_tickets(1, '0123456')} ), '1', 'found all the same');
is($moved->(q{SELECT keys || ' ' || done FROM qms.reseal()}), 'off true', 'nothing is sealed anew');
is($moved->(q{SELECT name FROM qms.get_customer(1)}), 'Eva', 'and what is sealed opens');
$node->adjust_conf('postgresql.conf', 'qms.seal_personal_data', 'on');
$node->reload;
Qms::poll(sub { $ask->('SHOW qms.seal_personal_data') eq 'on' });
$done->();
is($moved->(q{SELECT count(*) FROM qms.ticket WHERE contact ? 'phone'}), '0', 'on again: sealed');
is($moved->(q{SELECT count(*) FROM qms.customer WHERE name !~ '^1\.f2\.'}), '0', 'names too');

$node->stop;
done_testing();
