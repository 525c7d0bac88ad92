import { describe, expect, it } from 'vitest'
import type { Job, Jobs } from '../../shared/registry/jobs-port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const wanted = { kind: 'sweep', spec: { of: 'tëst', from: { ms: 4_102_444_800_000, ns: 7 } }, who: 'admin' }

const idOf = (job: Job | undefined): number => job?.id ?? -1

/** However many take at once, each job is one owner's. */
export async function checkJobsAreTakenOnce(jobs: readonly Pick<Jobs, 'create' | 'take'>[]): Promise<void> {
  const [first] = jobs
  if (first === undefined) return
  const made = await Promise.all(Array.from({ length: 10 }, () => first.create(wanted)))
  const takers = jobs.flatMap((one, i) => Array.from({ length: 12 }, (_, n) => one.take(`owner-${i}-${n}`, ['sweep'])))
  const taken = (await Promise.all(takers)).flatMap((job) => job ?? [])
  const ids = taken.map(idOf).toSorted((a, b) => a - b)
  expect(ids).toEqual(made.map(idOf).toSorted((a, b) => a - b))
}

/** `isShared`: an owner that is alive is believed until its lease ends. */
export function describeJobs(name: string, make: MakeRegistryHarness, isShared: boolean): void {
  describe(`${name}: jobs`, () => {
    it('are kept as they were made, listed newest first, also after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { jobs } = registry
      const first = await jobs.create(wanted)
      const second = await jobs.create({ ...wanted, who: 'x'.repeat(300) })
      const made = { ...wanted, state: 'waiting', counts: {}, progress: '', owner: '', cancelAsked: false }
      expect(first).toMatchObject(made)
      expect(first.position).toBeUndefined()
      expect(second.id).toBeGreaterThan(first.id)
      expect(await jobs.get(first.id)).toEqual(first)
      expect(await jobs.get(second.id + 1)).toBeUndefined()
      await registry.close()
      const again = (await openRegistry(harness)).jobs
      expect((await again.list({ limit: 10 })).map(idOf)).toEqual([second.id, first.id])
      expect((await again.list({ limit: 1, before: second.id })).map(idOf)).toEqual([first.id])
      expect(await again.get(first.id)).toEqual(first)
    })

    it('are taken the oldest first, of the kinds asked for, by one', async () => {
      const { jobs } = await openRegistry(await make())
      const other = await jobs.create({ ...wanted, kind: 'other' })
      const first = await jobs.create(wanted)
      expect(await jobs.take('a', ['sweep'])).toMatchObject({ id: first.id, state: 'running', owner: 'a' })
      expect(await jobs.take('a', ['sweep'])).toBeUndefined()
      expect(await jobs.take('b', [])).toBeUndefined()
      expect(await jobs.take('b', ['sweep', 'other'])).toMatchObject({ id: other.id })
    })

    it('are written by their owner alone, until they end', async () => {
      const { jobs } = await openRegistry(await make())
      const { id } = await jobs.create(wanted)
      await jobs.take('a', ['sweep'])
      const change = { position: { at: [1, 'ü'] }, counts: { done: 3 }, progress: 'half' }
      expect(await jobs.save(id, 'b', change)).toBe('lost')
      expect(await jobs.save(id, 'a', change)).toBe('held')
      expect(await jobs.get(id)).toMatchObject({ ...change, state: 'running' })
      expect(await jobs.save(id, 'a', { state: 'done', progress: 'y'.repeat(2000) })).toBe('held')
      const ended = await jobs.get(id)
      expect(ended).toMatchObject({ state: 'done', position: { at: [1, 'ü'] }, progress: 'y'.repeat(1000) })
      expect(ended?.endedMs).toBeGreaterThan(0)
      expect(await jobs.save(id, 'a', change)).toBe('lost')
      expect(await jobs.take('c', ['sweep'])).toBeUndefined()
    })

    it('end at once when they wait, and by their owner when they run', async () => {
      const { jobs } = await openRegistry(await make())
      const [first, second] = [await jobs.create(wanted), await jobs.create(wanted)]
      await jobs.take('a', ['sweep'])
      expect(await jobs.cancel(second.id)).toMatchObject({ state: 'cancelled', cancelAsked: true })
      expect(await jobs.cancel(first.id)).toMatchObject({ state: 'running', cancelAsked: true })
      expect(await jobs.save(first.id, 'a', {})).toBe('cancel')
      await jobs.save(first.id, 'a', { state: 'done' })
      expect(await jobs.cancel(first.id)).toMatchObject({ state: 'done' })
      expect(await jobs.cancel(second.id + 1)).toBeUndefined()
    })

    it('are one owner’s however many take them', async () => {
      if (isShared) return checkJobsAreTakenOnce([(await openRegistry(await make())).jobs])
      // One process takes one after the other; what it took before is not anybody's then.
      const { jobs } = await openRegistry(await make())
      const { id } = await jobs.create(wanted)
      await jobs.take('before the restart', ['sweep'])
      expect(await jobs.take('after it', ['sweep'])).toMatchObject({ id, owner: 'after it' })
      expect(await jobs.save(id, 'before the restart', { progress: 'late' })).toBe('lost')
    })
  })
}
