/*
 * random.c
 *		Random numbers of a seed: xoshiro256**, seeded by splitmix64.
 */
#include "stream.h"

/* As the server rounds it. */
double
told_p90(const QmsWait *told)
{
	return told->mean > 0 ? rint(Max(told->p90, 1)) : 0;
}

/* As the server makes it of what he was told. */
double
told_mean(const QmsWait *told)
{
	return qms_wait_mean_of(rint(told->p10), rint(told->p50), told_p90(told));
}

static uint64 state[4];

static uint64
next_random(void)
{
	uint64		result = ((state[1] * 5) << 7 | (state[1] * 5) >> 57) * 9;
	uint64		t = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = state[3] << 45 | state[3] >> 19;
	return result;
}

void
seed_with(uint64 seed)
{
	int			i;

	for (i = 0; i < 4; i++)
	{
		uint64		z = (seed += UINT64CONST(0x9e3779b97f4a7c15));

		z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
		state[i] = z ^ (z >> 31);
	}
}

double
uniform(void)
{
	return ((next_random() >> 11) + 0.5) / 9007199254740992.0;
}

double
exponential(double mean)
{
	return -mean * log(uniform());
}

double
normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}
