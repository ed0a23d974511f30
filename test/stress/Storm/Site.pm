# Storm::Site: the organization that is stormed: 2 branches, 6 queues, 8 services, 24 counters under
# profiles of all policies, limits small enough to be hit; and another organization beside it.
package Storm::Site;

use strict;
use warnings;

use JSON::PP;

my $json = JSON::PP->new->canonical;
my $dbh;

# One row of a function, by named arguments; lists become arrays, hashes become JSON.
sub make
{
	my ($function, %arguments) = @_;
	my @names = sort keys %arguments;
	my @values = map {
		my $value = $arguments{$_};
		ref $value eq 'HASH' || $_ eq 'sources' ? $json->encode($value) : $value
	} @names;
	my $sql = "SELECT * FROM qms.$function(" . join(', ', map { "$_ => ?" } @names) . ')';

	return $dbh->selectrow_hashref($sql, {}, @values);
}

# Logins, bound to what they are in the organization.
sub bind_role
{
	my ($role, $group, %arguments) = @_;

	$dbh->do("CREATE ROLE $role LOGIN IN ROLE $group");
	make('bind_role', role_name => $role, %arguments);
}

sub make_branch
{
	my ($site, $organization_id, $name, $zone, $services, @queues) = @_;
	my $branch_id = make('create_branch', organization_id => $organization_id, name => $name, time_zone => $zone)->{branch_id};
	my %branch = (branch_id => $branch_id, queues => []);

	foreach my $queue (@queues)
	{
		my ($queue_name, $settings, @offered) = @$queue;
		my $queue_id = make('create_queue', name => $queue_name, branch_id => $branch_id, settings => $settings)->{queue_id};

		push @{ $branch{queues} }, $queue_id;
		push @{ $site->{queues} }, $queue_id;
		foreach my $service_id (@{$services}[@offered])
		{
			make('offer_service', branch_id => $branch_id, service_id => $service_id, queue_id => $queue_id);
			push @{ $site->{offers} }, { branch_id => $branch_id, service_id => $service_id };
		}
	}
	return \%branch;
}

# A profile of each policy: all queues; queue by queue; shares; by class.
sub make_profiles
{
	my ($branch) = @_;
	my ($first, $second, $third) = @{ $branch->{queues} };
	my %sources = (
		fifo => [ map { { queue_id => $_ } } $first, $second, $third ],
		strict => [ { queue_id => $second, customer_class => 'VIP' }, { queue_id => $second }, { queue_id => $first } ],
		ratio => [ { queue_id => $first, weight => 3 }, { queue_id => $third, weight => 1 } ],
		weighted => [
			{ queue_id => $third, customer_class => 'regular', weight => 1 },
			{ queue_id => $third, customer_class => 'senior', weight => 2 },
			{ queue_id => $third, customer_class => 'VIP', weight => 5 } ]);

	return map {
		make('create_counter_profile', branch_id => $branch->{branch_id}, name => $_, policy => $_,
			sources => $sources{$_}, blind => $_ eq 'strict' ? 't' : 'f')->{counter_profile_id}
	} sort keys %sources;
}

# Twelve counters, a clerk each; one clerk in two has a skill.
sub make_counters
{
	my ($site, $organization_id, $branch) = @_;
	my $auto = make('create_counter_profile', branch_id => $branch->{branch_id}, name => 'by itself', auto_call => 't')->{counter_profile_id};
	my @profiles = (make_profiles($branch), $auto, undef);

	foreach my $i (0 .. 11)
	{
		my $n = @{ $site->{counters} } + 1;
		my $staff_id = make('create_staff', organization_id => $organization_id, username => "clerk$n")->{staff_id};
		my $counter_id = make('create_counter', branch_id => $branch->{branch_id}, name => "Counter $n",
			queue_ids => $branch->{queues})->{counter_id};

		make('update_staff', staff_id => $staff_id, skills => ['english'], branch_ids => [ $branch->{branch_id} ]) if $n % 2;
		bind_role("stress_clerk$n", 'qms_servicer', organization_id => $organization_id, kind => 'staff', staff_id => $staff_id);
		push @{ $site->{counters} },
		  { counter_id => $counter_id, staff_id => $staff_id, profile_id => $profiles[ $i % @profiles ], login => "stress_clerk$n" };
	}
}

sub make_organization
{
	my ($site) = @_;
	my $organization_id = make('create_organization', name => 'City', time_zone => 'Europe/Berlin')->{organization_id};
	my @services = map {
		make('create_service', organization_id => $organization_id, name => "Service $_",
			expected_duration => "$_ minutes")->{service_id}
	} 1 .. 8;

	make('create_customer_class', organization_id => $organization_id, name => 'senior', credit => '2 s', self_service => 't');
	make('create_customer_class', organization_id => $organization_id, name => 'VIP', credit => '6 s');
	make('update_service', service_id => $services[6], credit => '1 s');
	make('update_service', service_id => $services[7], requires_skill => ['english']);
	my @branches = (
		make_branch($site, $organization_id, 'Centre', 'Europe/Berlin', \@services,
			[ 'Residents', { priority_step => '1 s' }, 0, 1, 2, 7 ],
			[ 'Passports', { defer_limit => 1, undo_window => '2 s' }, 3, 4 ],
			[ 'Cash', { max_number => 60, wrap => JSON::PP::true, recall_limit => 1 }, 5, 6 ]),
		make_branch($site, $organization_id, 'North', 'Europe/Lisbon', \@services,
			[ 'General', { max_waiting => 12, recall_gap => '1 s', heartbeat_timeout => '6 s' }, 0, 3 ],
			[ 'Permits', { max_number => 150, wrap => JSON::PP::true, no_show_after => '4 s' }, 1, 5, 7 ],
			[ 'Express', { priority_step => '2 s' }, 2, 4, 6 ]));
	$site->{services} = \@services;
	make_counters($site, $organization_id, $_) foreach @branches;
	bind_role('stress_desk', 'qms_admin', organization_id => $organization_id, kind => 'admin');
	bind_role('stress_customer', 'qms_customer', organization_id => $organization_id, kind => 'customer');
}

# The neighbour, whose two counters work for themselves.
sub make_neighbour
{
	my ($site) = @_;
	my $organization_id = make('create_organization', name => 'Neighbour')->{organization_id};
	my $branch_id = make('create_branch', organization_id => $organization_id, name => 'Only')->{branch_id};

	foreach my $n (1 .. 2)
	{
		my $queue_id = make('create_queue', name => "Queue $n", branch_id => $branch_id)->{queue_id};
		my $counter_id = make('create_counter', branch_id => $branch_id, name => "Window $n", queue_ids => [$queue_id])->{counter_id};

		push @{ $site->{others} }, { queue_id => $queue_id, counter_id => $counter_id };
	}
	bind_role('stress_stranger', 'qms_admin', organization_id => $organization_id, kind => 'admin');
}

# build(dbh, folder): set it up and write down the ids.
sub build
{
	($dbh, my $folder) = @_;
	my %site = (queues => [], offers => [], counters => [], others => []);

	make_organization(\%site);
	make_neighbour(\%site);
	$site{has} = { map { $_->[0] => 1 } @{ $dbh->selectall_arrayref(
		q{SELECT proname FROM pg_proc WHERE pronamespace = 'qms'::regnamespace}) } };
	open(my $file, '>', "$folder/site") or die "$folder/site: $!";
	print $file $json->encode(\%site);
	close($file);
}

sub read_site
{
	my ($folder) = @_;

	open(my $file, '<', "$folder/site") or die "$folder/site: $!";
	return $json->decode(scalar <$file>);
}

1;
