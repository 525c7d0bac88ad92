import { SluiceError } from '../../errors.ts'
import type { Cluster } from './kafkajs-internals.ts'

/** Told of every request: as kafkajs names it, seconds until it was over, and whether it failed. */
export type RequestTold = (name: string, seconds: number, hasFailed: boolean) => void

/** Answers that are steps of joining a group, and no faults. */
const STEPS: ReadonlySet<unknown> = new Set(['MEMBER_ID_REQUIRED', 'REBALANCE_IN_PROGRESS'])

/**
 * Tells of every request to the nodes of a cluster, those that kafkajs sends by itself included. A connection that has to be
 * made first is part of the time: it is what waits while a broker hangs. Errors in answers about single partitions are
 * those of whoever asked.
 */
export function timeRequests({ connectionPoolBuilder }: Cluster['brokerPool'], told: RequestTold): void {
  const build = connectionPoolBuilder.build.bind(connectionPoolBuilder)
  connectionPoolBuilder.build = async (options) => {
    const connections = await build(options)
    const send = connections.send.bind(connections)
    connections.send = async (request) => {
      const began = performance.now()
      let hasFailed = false
      try {
        return await send(request)
      } catch (error) {
        hasFailed = isFailure(error)
        throw error
      } finally {
        told(request.request.apiName, (performance.now() - began) / 1000, hasFailed)
      }
    }
    return connections
  }
}

/** What ends with the log that is closed says nothing about Kafka. */
function isFailure(error: unknown): boolean {
  if (error instanceof SluiceError && error.code === 'closed') return false
  return !STEPS.has((error as { readonly type?: unknown }).type)
}
