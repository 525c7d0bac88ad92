import { setTimeout as delay } from 'node:timers/promises'
import type { FleetDevice } from '../../services/simulator/fleet.ts'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload, stepOf, type Workload } from '../../services/simulator/workload.ts'
import { CpuMeter, type Parts } from './process-cpu.ts'
import type { StoredPoints } from './stored-points.ts'
import { VisibilityProbe } from './visibility-probe.ts'

/** A way from PUBLISH to InfluxDB that can be put under load. */
export interface Target {
  readonly name: string
  readonly mqttPort: number
  readonly devices: readonly FleetDevice[]
  readonly parts: Parts
  /** Times in microseconds of the device's readings that can be queried; `toUs` exclusive. */
  readTimes(device: FleetDevice, fromUs: number, toUs: number): Promise<readonly number[]>
  close(): Promise<void>
}

export interface Load {
  /** Messages per second over all devices; 0 = as fast as the acknowledgements allow. */
  readonly rate: number
  readonly inflight: number
  readonly messages: number
}

export interface PhaseResult extends Load {
  readonly target: string
  /** From the first PUBLISH until the last reading was stored. */
  readonly seconds: number
  readonly storedPerSecond: number
  readonly ackMs: { readonly p50: number; readonly p99: number }
  /** Only at a limited rate: otherwise it tells how long the queues are. */
  readonly queryableMs: { readonly p50: number; readonly p99: number; readonly samples: number } | undefined
  /** CPU-seconds (user and system) per million messages, by part; `load` is the generator. */
  readonly cpu: Readonly<Record<string, number>>
}

const PATIENCE_MS = 30_000
/** Devices whose readings are looked for; their keys are in different partitions. */
const PROBED = [0, 1]

/** Sends the load and waits until all of it is stored. */
export async function runPhase(target: Target, stored: StoredPoints, load: Load): Promise<PhaseResult> {
  const workload = workloadOf(load, target.devices.length)
  const messages = workload.length * target.devices.length
  const probe = load.rate > 0 ? probeOf(target, workload) : undefined
  const { rate, inflight } = load
  const run = new LoadRun({
    ...{ host: '127.0.0.1', port: target.mqttPort, devices: target.devices, workload, rate, qos: 1, inflight },
    onAcknowledged: (device, sequence, sentAt) => probe?.onAcknowledged(device, sequence, sentAt),
  })
  try {
    await run.connect()
    const before = await stored.count()
    const meter = new CpuMeter({ ...target.parts, load: [process.pid] })
    const started = performance.now()
    run.start()
    while (!run.exhausted || run.open > 0) await Promise.race([delay(5), run.failed])
    await stored.reach(before + messages, PATIENCE_MS)
    const seconds = (performance.now() - started) / 1000
    const used = meter.used()
    await probe?.stop()
    const queryable = probe?.latency
    return {
      target: target.name,
      ...load,
      messages,
      seconds,
      storedPerSecond: messages / seconds,
      ackMs: { p50: run.latency.percentile(0.5), p99: run.latency.percentile(0.99) },
      queryableMs: queryable && {
        p50: queryable.percentile(0.5),
        p99: queryable.percentile(0.99),
        samples: queryable.count,
      },
      cpu: Object.fromEntries(Object.entries(used).map(([part, cpu]) => [part, (cpu / messages) * 1e6])),
    }
  } finally {
    await run.close()
  }
}

/** With an end, and with times in whole microseconds at every rate. */
function workloadOf({ rate, messages }: Load, devices: number): Workload {
  const step = stepOf(rate, devices)
  const stepUs = step % 1000 === 0 ? step - 1 : step
  return { ...generatedWorkload({ seed: 1, startMs: Date.now(), stepUs }), length: Math.ceil(messages / devices) }
}

function probeOf(target: Target, workload: Workload): VisibilityProbe {
  const read = async (index: number, fromUs: number, toUs: number) => {
    const device = target.devices[index]
    return device === undefined ? [] : target.readTimes(device, fromUs, toUs)
  }
  return new VisibilityProbe({ devices: PROBED, workload, read })
}
