import { expect, it } from 'vitest'
import { CLEAN, KEPT, ME, type MakeSessionsHarness } from './sessions-harness.ts'

/** What every store of sessions owes to the telemetry of QoS 2 of persistent sessions. */
export function describeUnreleased(name: string, make: MakeSessionsHarness): void {
  it(`${name}: ids of QoS 2 that are in the log are known to the next holder, with what tells their messages from others`, async () => {
    const first = await make()
    const lease = await first.store.claim(ME, KEPT)
    const other = await first.store.claim('a/1/other', KEPT)
    const most = Number.MAX_SAFE_INTEGER
    const changes = [
      { lease, id: 5, digest: 1 },
      { lease: other, id: 5, digest: 2 },
      { lease, id: 6, digest: 3 },
      { lease, id: 6, digest: undefined },
      { lease, id: 65_535, digest: 4 },
    ]
    expect(first.store.isUp).toBe(true)
    expect([...(await first.store.writeUnreleased(changes))]).toEqual([])
    // The id is another message's now; and one that is not known is forgotten all the same.
    const later = [
      ...[most, undefined, most].map((digest) => ({ lease, id: 65_535, digest })),
      { lease, id: 7, digest: undefined },
    ]
    await first.store.writeUnreleased(later)
    for (const held of [lease, other]) first.store.release(held)
    const { store } = await first.reopen()
    const again = await store.claim(ME, KEPT)
    expect(new Map(again.left.unreleased)).toEqual(
      new Map([
        [5, 1],
        [65_535, most],
      ]),
    )
    expect(new Map((await store.claim('a/1/other', KEPT)).left.unreleased)).toEqual(new Map([[5, 2]]))
    store.release(again)

    // Who holds the session no more changes nothing.
    const now = await store.claim(ME, KEPT)
    const lost = await store.writeUnreleased([
      { lease: again, id: 8, digest: 8 },
      { lease: now, id: 9, digest: 9 },
    ])
    expect([...lost]).toEqual([again])
    store.release(now)
    const last = await store.claim(ME, KEPT)
    expect([...last.left.unreleased.keys()].toSorted((one, two) => one - two)).toEqual([5, 9, 65_535])
    store.release(last)
    for (const wish of [{ ...KEPT, isNew: true }, CLEAN]) {
      const begun = await store.claim(ME, wish)
      expect(begun.left.unreleased.size).toBe(0)
      store.release(begun)
    }
    expect((await store.claim(ME, KEPT)).left.unreleased.size).toBe(0)
  })
}
