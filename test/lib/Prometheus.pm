# Prometheus.pm: reads the text format of Prometheus, and asks promtool about it.
#
#   my $m = Prometheus->new($text);
#   $m->value('qms_queue_size', queue => 'papers');     # of the one sample with these labels
#   Prometheus::promtool_is_fine($text, 'metrics', 'a name');
package Prometheus;

use strict;
use warnings;

use File::Temp;
use Test::More;

# Where test/lib/install_deps.sh puts what it takes out of Debian's package.
$ENV{PATH} .= ':/usr/bin:/usr/local/lib/qms-test';

# new(TEXT): dies of a line that is none of the format.
sub new
{
	my ($class, $text) = @_;
	my $self = bless { samples => [], type => {}, help => {} }, $class;
	my $label = qr/[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"/;

	foreach my $line (split /\n/, $text)
	{
		if ($line =~ /^# HELP (\w+) (.+)$/) { die "twice: $line" if $self->{help}{$1}; $self->{help}{$1} = $2 }
		elsif ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/) { die "twice: $line" if $self->{type}{$1}; $self->{type}{$1} = $2 }
		elsif ($line =~ /^(\w+)(?:\{($label(?:,$label)*)\})? (-?[0-9.]+(?:e[+-]?\d+)?|[+-]Inf|NaN)$/)
		{
			my ($name, $labels, $value) = ($1, $2 // '', $3);
			my %labels = $labels =~ /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;
			s/\\(.)/$1 eq 'n' ? "\n" : $1/ge foreach values %labels;
			push @{ $self->{samples} }, { name => $name, labels => \%labels, value => $value };
		}
		else { die "no line of Prometheus: $line" }
	}
	return $self;
}

# all(NAME, LABEL => VALUE...): samples with these labels, and others.
sub all
{
	my ($self, $name, %labels) = @_;
	return grep {
		my $sample = $_;
		$sample->{name} eq $name && !grep { ($sample->{labels}{$_} // '') ne $labels{$_} } keys %labels
	} @{ $self->{samples} };
}

sub value
{
	my ($self, $name, %labels) = @_;
	my @found = $self->all($name, %labels);
	return @found == 1 ? $found[0]{value} : scalar(@found) . ' samples';
}

sub names { my ($self) = @_; my %seen; return grep { !$seen{$_}++ } map { $_->{name} } @{ $_[0]{samples} } }

sub has_promtool { return grep { -x "$_/promtool" } split /:/, $ENV{PATH} }

# promtool(INPUT, ARGUMENT...): what it says, empty if all is well.
sub promtool
{
	my ($input, @arguments) = @_;
	my $file = File::Temp->new;
	binmode $file, ':utf8' if utf8::is_utf8($input);
	print $file $input;
	close $file;
	my $out = `promtool @arguments < $file 2>&1`;
	return $? == 0 ? '' : "exit $?: $out";
}

# metrics_are_fine(TEXT, TEST NAME): by promtool check metrics; skipped where there is none.
sub metrics_are_fine
{
	my ($text, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
  SKIP:
	{
		skip 'no promtool: ' . $test, 1 unless has_promtool();
		return is(promtool($text, 'check', 'metrics'), '', $test);
	}
	return 1;
}

1;
