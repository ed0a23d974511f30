# The tour of README.md works as printed.
use strict;
use warnings;

use lib 'test/lib';
use Test::More;
use Tour;

Tour::run('README.md', 5);

done_testing();
