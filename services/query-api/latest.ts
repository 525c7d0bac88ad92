import type { Cache } from '../../shared/cache/port.ts'
import { toSluiceError } from '../../shared/errors.ts'
import { inTime } from '../../shared/in-time.ts'
import { decodeLatest, latestKey } from '../../shared/latest-state.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import { compareText } from '../../shared/text-order.ts'
import { DEFAULT_STREAM } from '../../shared/topics.ts'

interface Sources {
  readonly registry: Registry
  readonly points: PointStore
  readonly cache: Cache
}

/** A store that does not answer is not waited for: all that it adds is a stream that is some seconds old. */
const STREAMS_WITHIN_MS = 500

export interface LatestStates {
  readonly states: StreamState[]
  /** False: the store was not asked for streams that are only in the cache as yet. */
  readonly hasNewStreams: boolean
}

/**
 * Newest state of every stream of a device, by stream. The registry has it as of the last flush, the cache may be newer
 * by up to a few seconds; which of the two is later is told by their places in the log.
 */
export async function latestStates(sources: Sources, tenant: string, uid: string): Promise<LatestStates> {
  const flushed = await sources.registry.readState(tenant, uid)
  const states = new Map(flushed.map((state) => [state.stream, state]))
  const stored = await storedStreams(sources, tenant, uid)
  const streams = [...new Set([DEFAULT_STREAM, ...flushed.map(({ stream }) => stream), ...(stored ?? [])])]
  const cached = await sources.cache.getMany(streams.map((stream) => latestKey(tenant, uid, stream)))
  for (const [index, stream] of streams.entries()) {
    const text = cached[index]
    const state = text === undefined ? undefined : decodeLatest(text)
    if (state !== undefined && isLater(state, states.get(stream))) states.set(stream, state)
  }
  const sorted = [...states.values()].sort((a, b) => compareText(a.stream, b.stream))
  return { states: sorted, hasNewStreams: stored !== undefined }
}

/** What was never flushed is already among the points. Undefined when the store does not answer. */
async function storedStreams({ points }: Sources, tenant: string, uid: string): Promise<string[] | undefined> {
  try {
    const series = await inTime(points.series(tenant, uid), STREAMS_WITHIN_MS, 'store_unavailable')
    return series.map(({ stream }) => stream)
  } catch (error) {
    if (toSluiceError(error).code === 'store_unavailable') return undefined
    throw error
  }
}

function isLater(state: StreamState, than: StreamState | undefined): boolean {
  if (than === undefined) return true
  return state.log === than.log && state.partition === than.partition && state.offset > than.offset
}
