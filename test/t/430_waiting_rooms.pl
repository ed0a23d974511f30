# The walk-through of contrib-docs/waiting-rooms.md works as printed, with the scheduler at work.
use strict;
use warnings;

use lib 'test/lib';
use Test::More;
use Tour;

Tour::run('contrib-docs/waiting-rooms.md', 6, 'qms.workers = on');

done_testing();
