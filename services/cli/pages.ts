/** Largest page the API gives of a list. */
const PAGE_SIZE = 1000

export interface ListPage<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** The first `limit` items of a list that comes in pages, and whether there are more. */
export async function collectPages<T>(
  limit: number,
  read: (cursor: string | undefined, size: number) => Promise<ListPage<T>>,
): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = []
  let cursor: string | undefined
  while (items.length < limit) {
    const page = await read(cursor, Math.min(PAGE_SIZE, limit - items.length))
    items.push(...page.items)
    if (page.next === null) return { items, more: false }
    cursor = page.next
  }
  return { items, more: true }
}
