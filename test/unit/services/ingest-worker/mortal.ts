import type { IngestWorkerOptions } from '../../../../services/ingest-worker/worker.ts'
import { withMethods } from '../../../../load-tests/reference/overriding.ts'
import type { World } from './harness.ts'

export type Ports = Pick<IngestWorkerOptions, 'log' | 'points' | 'registry' | 'cache'>

/**
 * Ports of a process that is killed at its `at`-th call: with `lost` before the call takes effect, else behind it but
 * before its answer. From then on nothing it asks is done or answered.
 */
export function mortal(ports: Ports, at: number, lost: boolean): { ports: Ports; killed: Promise<void> } {
  const death = Promise.withResolvers<void>()
  let calls = 0
  let dead = false
  const never = new Promise<never>(() => {})
  const guard = async (call: () => unknown): Promise<unknown> => {
    if (dead) return never
    calls += 1
    if (calls !== at) return call()
    dead = true
    if (!lost) await call()
    death.resolve()
    return never
  }
  const wrap = <T extends object>(port: T, names: readonly string[]): T => {
    const call = (name: string, ...args: unknown[]): unknown => {
      const method = Reflect.get(port, name) as (...args: unknown[]) => unknown // a method of the port, by its name below
      return Reflect.apply(method, port, args)
    }
    const guarded = names.map((name) => [name, (...args: unknown[]) => guard(() => call(name, ...args))])
    return withMethods(port, Object.fromEntries(guarded) as object)
  }
  const log = wrap(ports.log, ['append'])
  const consume: typeof log.consume = async (options) => {
    const onBatch: typeof options.onBatch = async (batch, signal) => (dead ? never : options.onBatch(batch, signal))
    const consumer = await log.consume({ ...options, onBatch })
    return withMethods(wrap(consumer, ['commit']), { close: async () => (dead ? undefined : consumer.close()) })
  }
  return {
    killed: death.promise,
    ports: {
      log: withMethods(log, { consume }),
      points: wrap(ports.points, ['write', 'sync']),
      registry: wrap(ports.registry, ['pinFieldTypes', 'readStreams', 'writeState']),
      cache: ports.cache,
    },
  }
}

/** When a worker is killed, see {@link mortal}, and whether the machine goes with it. */
export interface Kill {
  readonly at: number
  readonly lost: boolean
  readonly powerCut: boolean
}

/** Workers that are killed one after the other, and one that is not, until all of the world's log is stored. */
export async function storeThroughKills(
  world: World,
  kills: readonly Kill[],
  env: Record<string, string>,
  broken: (ports: Ports) => Ports,
): Promise<void> {
  for (const { at, lost, powerCut } of kills) {
    const { ports, killed } = mortal(world, at, lost)
    const worker = await world.work(broken(ports), env)
    await Promise.race([killed, world.settled()])
    await worker.close()
    if (powerCut) world.points.crash()
  }
  const last = await world.work(broken(world), env)
  await world.settled()
  await last.close()
}
