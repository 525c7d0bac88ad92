import type { Cache } from '../../shared/cache/port.ts'
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

/**
 * Newest state of every stream of a device, by stream. The registry has it as of the last flush, the cache may be newer
 * by up to a few seconds; which of the two is later is told by their places in the log.
 */
export async function latestStates(sources: Sources, tenant: string, uid: string): Promise<StreamState[]> {
  const flushed = await sources.registry.readState(tenant, uid)
  const states = new Map(flushed.map((state) => [state.stream, state]))
  const streams = await streamsOf(sources, tenant, uid, flushed)
  const cached = await sources.cache.getMany(streams.map((stream) => latestKey(tenant, uid, stream)))
  for (const [index, stream] of streams.entries()) {
    const text = cached[index]
    const state = text === undefined ? undefined : decodeLatest(text)
    if (state !== undefined && isLater(state, states.get(stream))) states.set(stream, state)
  }
  return [...states.values()].sort((a, b) => compareText(a.stream, b.stream))
}

/** Streams that may be in the cache: what was never flushed is already among the points. */
async function streamsOf(
  { points }: Sources,
  tenant: string,
  uid: string,
  flushed: readonly StreamState[],
): Promise<string[]> {
  const series = await points.series(tenant, uid)
  return [...new Set([DEFAULT_STREAM, ...flushed.map(({ stream }) => stream), ...series.map(({ stream }) => stream)])]
}

function isLater(state: StreamState, than: StreamState | undefined): boolean {
  if (than === undefined) return true
  return state.log === than.log && state.partition === than.partition && state.offset > than.offset
}
