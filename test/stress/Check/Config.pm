# Check::Config: what the checker needs of the configuration, as it is now.  What was changed after an
# event happened is no measure for that event.
package Check::Config;

use strict;
use warnings;

# Lengths, and moments as the server counts them: microseconds from 2000 on.
my $length = q{(1000000 * extract(epoch FROM %s))::bigint};
my $moment = q{(1000000 * extract(epoch FROM %s - timestamptz '2000-01-01 00:00+00'))::bigint};

sub new
{
	my ($class, $dbh) = @_;
	my $self = bless { queue => {}, class => {}, offer => {} }, $class;
	my $usec = sub { sprintf($length, $_[0]) };
	my $at = sub { sprintf($moment, $_[0]) };

	# Defaults as documented for the settings of a queue.  To open and close one changes no setting.
	$self->{queue} = $dbh->selectall_hashref(
		q{SELECT queue_id, kind,
			coalesce((settings->>'max_number')::int, 999) AS max_number,
			coalesce((settings->>'wrap')::bool, false)::int AS wrap,
			coalesce((settings->>'live_past_midnight')::bool, false)::int AS live_past_midnight, }
		  . $usec->(q{coalesce((settings->>'priority_step')::interval, '5 minutes')}) . ' AS step, '
		  . $at->(q{coalesce((SELECT max(e.at) FROM qms.event e
			WHERE e.kind IN ('queue.created', 'queue.updated') AND e.queue_id = q.queue_id), q.created_at)})
		  . ' AS updated FROM qms.queue q', 'queue_id');
	$self->{class} = $dbh->selectall_hashref(
		'SELECT customer_class_id, ' . $usec->('credit') . ' AS credit, ' . $at->('updated_at') . ' AS updated FROM qms.customer_class',
		'customer_class_id');
	$self->{offer} = $dbh->selectall_hashref(
		q{SELECT f.queue_id || ' ' || f.service_id AS key, max(} . $usec->('s.credit') . ') AS credit, max('
		  . $at->('greatest(f.updated_at, s.updated_at)') . q{) AS updated,
			max(cardinality(s.requires_skill || f.requires_skill)) AS skills
		FROM qms.service_offer f JOIN qms.service s USING (service_id)
		WHERE f.deleted_at IS NULL AND s.deleted_at IS NULL GROUP BY 1}, 'key');
	return $self;
}

# What class, service and priority of a ticket are worth in its queue, in microseconds; undef if that
# was set later than the moment given.
sub credit
{
	my ($self, $ticket, $at) = @_;
	my $queue = $self->{queue}{ $ticket->{queue} } // return;
	my $class = $self->{class}{ $ticket->{class} // 0 } // return;
	my $offer = defined $ticket->{service} ? $self->{offer}{"$ticket->{queue} $ticket->{service}"} : undef;

	foreach my $thing ($queue, $class, $offer)
	{
		return if $thing && defined $at && $thing->{updated} > $at;
	}
	return $class->{credit} + ($offer ? $offer->{credit} : 0) + ($ticket->{priority} // 0) * $queue->{step};
}

# May only some counters call him?
sub needs_skill
{
	my ($self, $ticket) = @_;
	my $offer = defined $ticket->{service} ? $self->{offer}{"$ticket->{queue} $ticket->{service}"} : undef;

	return $offer && $offer->{skills} ? 1 : 0;
}

1;
