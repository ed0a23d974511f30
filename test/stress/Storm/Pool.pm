# Storm::Pool: the tickets that the sessions know of, in one file of fixed records, so that several
# of them act on the same ticket at the same moment.
package Storm::Pool;

use strict;
use warnings;

use Fcntl qw(O_RDWR O_APPEND O_CREAT SEEK_SET);

my $record = 100;
my $recent = 300;

sub new
{
	my ($class, $path) = @_;

	sysopen(my $file, $path, O_RDWR | O_APPEND | O_CREAT) or die "$path: $!";
	return bless { file => $file }, $class;
}

sub add
{
	my ($self, $row) = @_;

	# A second join of a subject is told no token.
	return unless defined $row->{token};
	my $line = join(' ', @{$row}{qw(ticket_id queue_id token)});

	syswrite($self->{file}, sprintf("%-99s\n", $line));
}

# Some ticket of late: (ticket_id, queue_id, token), or nothing.
sub some
{
	my ($self) = @_;
	my $n = int((-s $self->{file}) / $record);
	my $from = $n > $recent ? $n - $recent : 0;

	return if $n == 0;
	sysseek($self->{file}, ($from + int(rand($n - $from))) * $record, SEEK_SET);
	sysread($self->{file}, my $line, $record);
	return split(' ', $line);
}

1;
