/*
 * heap.c
 *		Things in the order of moments.
 */
#include "stream.h"

void
heap_push(Heap *heap, TimestampTz key, void *item)
{
	int			i = heap->n++;

	if (heap->n > heap->size)
	{
		heap->size = Max(1024, 2 * heap->size);
		heap->items = realloc(heap->items, sizeof(void *) * heap->size);
		heap->keys = realloc(heap->keys, sizeof(TimestampTz) * heap->size);
	}
	for (; i > 0 && heap->keys[(i - 1) / 2] > key; i = (i - 1) / 2)
	{
		heap->keys[i] = heap->keys[(i - 1) / 2];
		heap->items[i] = heap->items[(i - 1) / 2];
	}
	heap->keys[i] = key;
	heap->items[i] = item;
}

void *
heap_pop(Heap *heap)
{
	void	   *top = heap->items[0];
	TimestampTz key = heap->keys[--heap->n];
	void	   *last = heap->items[heap->n];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= heap->n)
			break;
		if (child + 1 < heap->n && heap->keys[child + 1] < heap->keys[child])
			child++;
		if (heap->keys[child] >= key)
			break;
		heap->keys[i] = heap->keys[child];
		heap->items[i] = heap->items[child];
		i = child;
	}
	heap->keys[i] = key;
	heap->items[i] = last;
	return top;
}
