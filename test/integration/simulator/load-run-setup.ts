import type { Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { Ledger } from '../../../services/simulator/verification/ledger.ts'
import { LoadRun, type LoadRunOptions } from '../../../services/simulator/load-run.ts'
import type { QoS } from '../../../shared/mqtt/client-packets.ts'
import { generatedWorkload } from '../../../services/simulator/workload.ts'
import {
  startPublishSink,
  type PublishSink,
  type PublishSinkOptions,
  type ReceivedPublish,
} from '../../../load-tests/servers/publish-sink.ts'

export const DEVICES = 3

export interface Setup {
  readonly qos: QoS
  readonly inflight?: number
  readonly length?: number
  readonly sink?: PublishSinkOptions
}

export interface Running {
  readonly run: LoadRun
  readonly sink: PublishSink
  readonly ledger: Ledger
  readonly received: ReceivedPublish[]
  readonly options: LoadRunOptions
  /** Resolves when everything was sent and finished. */
  readonly finished: () => Promise<void>
}

/** A run of three devices against a sink; nothing is connected yet. */
export async function setUp({ qos, inflight = 4, length = 50, sink: sinkOptions = {} }: Setup): Promise<Running> {
  const received: ReceivedPublish[] = []
  const onPublish = (message: ReceivedPublish, socket: Socket) => {
    received.push(message)
    return sinkOptions.onPublish?.(message, socket)
  }
  const sink = await startPublishSink({ ...sinkOptions, onPublish })
  const ledger = new Ledger({ devices: DEVICES, startedAt: performance.now() })
  const workload = { ...generatedWorkload({ seed: 1, startMs: 1e12, stepUs: 1000 }), length }
  const devices = Array.from({ length: DEVICES }, (_, index) => {
    return { tenant: 'a', device: `d${index}`, username: `a/d${index}`, secret: 's' }
  })
  const options = { host: '127.0.0.1', port: sink.port, devices, workload, rate: 0, qos, inflight, ledger }
  const run = new LoadRun(options)
  const close = async () => {
    await run.close()
    await sink.close()
  }
  onTestFinished(close)
  const finished = () => until(() => run.exhausted && run.open === 0)
  return { run, sink, ledger, received, options, finished }
}

/** Looks at a condition after each turn of the event loop; the test's own limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

/** What a device sent, repeats included. */
export function payloadsOf(received: readonly ReceivedPublish[], device: number): string[] {
  return received.filter(({ topic }) => topic === `t/a/d${device}/telemetry`).map(({ payload }) => payload)
}

/** What a device should have sent. */
export function expected({ options }: Running, device: number): string[] {
  return Array.from({ length: options.workload.length }, (_, sequence) => options.workload.payload(device, sequence))
}
