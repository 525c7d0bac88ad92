import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { DeleteRange, PointStore } from '../../../shared/points/port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { Tombstone } from '../../../shared/registry/tombstones-port.ts'
import { formatInstant, type Instant } from '../../../shared/telemetry.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { JobHandler, JobRun } from './job-runner.ts'
import { whenStored } from './when-stored.ts'

export const DELETE_READINGS = 'readings delete'

/** What is to be deleted. */
export interface DeleteSpec {
  /** Of the tombstone. */
  readonly id: string
  readonly tenant: string
  /** What the device was called when it was asked for. */
  readonly device: string
  readonly uid: string
  readonly stream?: string
  readonly from: Instant
  readonly to: Instant
}

export interface DeleteSources {
  readonly log: Pick<TelemetryLog, 'offsets' | 'lag' | 'partitionsOf'>
  readonly points: Pick<PointStore, 'delete' | 'sync'>
  readonly registry: Pick<Registry, 'tombstones'>
}

/**
 * Deletes the readings of a span. While its tombstone is open nothing of the span is stored, so deleting may be repeated and takes
 * nothing else: at once, and again when everything is stored that a worker may have taken up before it knew. Then it is
 * closed, and covers what was received so far. Each step may be done again, so a start goes through all of them.
 */
export function deleteReadings(sources: DeleteSources): JobHandler {
  return {
    async run(run) {
      const { tombstones } = sources.registry
      const tombstone = await tombstones.put(tombstoneOf(run.job.spec))
      if (tombstone.receivedMs === undefined) {
        await erase(sources, tombstone)
        await whenPassed(sources, tombstone, run)
        await run.save({ progress: 'Deleting what was on its way.' })
        await erase(sources, tombstone)
      }
      return { progress: endOf(await tombstones.close(tombstone.id)) }
    },

    /** What is not stored yet stays away, as what is deleted. */
    async cancelled({ spec }) {
      const { tombstones } = sources.registry
      const known = (await tombstones.current()).all.find(({ id }) => id === tombstoneOf(spec).id)
      if (known === undefined) return 'Nothing was deleted.'
      return `A part may be deleted. ${endOf(await tombstones.close(known.id))}`
    },
  }
}

function tombstoneOf(spec: unknown): Omit<Tombstone, 'receivedMs'> {
  const { id, tenant, uid, stream, from, to } = spec as DeleteSpec // written by the route
  return { id, tenant, uid, stream, from, to }
}

function endOf(tombstone: Tombstone | undefined): string {
  const until = formatInstant({ ms: tombstone?.receivedMs ?? 0, ns: 0 })
  return `What was received of the span until ${until} is not stored again.`
}

/** Durably. */
async function erase({ points, registry }: DeleteSources, tombstone: Tombstone): Promise<void> {
  await points.delete(rangeOf(tombstone))
  await points.sync()
  await registry.tombstones.clearLatest(tombstone)
}

function rangeOf({ tenant, uid, stream, from, to }: Tombstone): DeleteRange {
  return { tenant, device: uid, ...(stream === undefined ? {} : { stream }), from, to }
}

/** Resolves when no worker has anything under way any more that it took up before it knew of the tombstone. */
function whenPassed({ log }: DeleteSources, { tenant, uid }: Tombstone, run: JobRun): Promise<void> {
  return whenStored(log, new Set(log.partitionsOf(deviceKey(tenant, uid))), run.signal, (left) => {
    return run.save({ progress: `Deleted. Waiting for the workers to pass ${left} records that came before.` })
  })
}
