import { setTimeout as delay } from 'node:timers/promises'
import { SluiceError } from '../../shared/errors.ts'
import type { ApiClient } from '../../shared/api-client.ts'
import { registerFleet, removeFleet, type FleetDevice } from './fleet.ts'
import { verifyFleet } from './verification/fleet-verification.ts'
import { Ledger } from './verification/ledger.ts'
import { LoadRun, type LoadStats } from './load-run.ts'
import type { QoS } from '../../shared/mqtt/client-packets.ts'
import { QueryableSampler } from './verification/queryable-sampler.ts'
import { simulationReport, type SimulationReport } from './simulation-report.ts'
import { isClean, type Verdict } from './verification/device-verification.ts'
import type { Workload } from './workload.ts'

export interface SimulationOptions {
  readonly mqtt: { readonly host: string; readonly port: number }
  readonly tenant: string
  /** Begins the names of the devices; different for each run, because secrets are told only once. */
  readonly prefix: string
  readonly devices: number
  readonly rate: number
  /** Infinity: until the workload ends. */
  readonly durationMs: number
  readonly qos: QoS
  readonly inflight: number
  readonly verify: boolean
  /** How long acknowledgements, and later readings, are waited for without progress. */
  readonly patienceMs: number
  /** The devices stay; otherwise they are removed after a clean run. */
  readonly keep: boolean
}

export type SimulationPhase = 'register' | 'connect' | 'send' | 'drain' | 'verify' | 'remove'

export interface SimulationProgress {
  readonly phase: SimulationPhase
  readonly stats?: LoadStats
  readonly p99Ms?: number
  /** Acknowledged per second since the sending began. */
  readonly ratePerSecond?: number
  /** Devices verified so far. */
  readonly verified?: number
}

export interface SimulationContext {
  readonly api: ApiClient
  readonly workload: Workload
  /** Ends the sending early; what was sent is still waited for and verified. */
  readonly interruption: AbortSignal
  readonly onProgress: (progress: SimulationProgress) => void
}

const LOOK_EVERY_MS = 100

/**
 * Registers devices, lets them send over MQTT, waits for their acknowledgements, and proves from the HTTP API what
 * became of the readings. Errors: those of the API, `login_failed`, `command_failed` (the ledger is full).
 */
export async function simulate(options: SimulationOptions, context: SimulationContext): Promise<SimulationReport> {
  const { api, workload, onProgress } = context
  onProgress({ phase: 'register' })
  const devices = await registerFleet(api, { tenant: options.tenant, prefix: options.prefix, count: options.devices })
  const ledger = options.verify ? new Ledger({ devices: devices.length, startedAt: performance.now() }) : undefined
  const sampler = new QueryableSampler({ api, devices, workload })
  const run = new LoadRun({
    ...options.mqtt,
    ...{ devices, workload, ledger, rate: options.rate, qos: options.qos, inflight: options.inflight },
    onAcknowledged: (device, sequence, sentAt) => sampler.onAcknowledged(device, sequence, sentAt),
  })
  let seconds: number
  try {
    seconds = await drive(run, options, context)
    await sampler.stop()
  } finally {
    await run.close()
  }
  let verdict: Verdict | undefined
  if (ledger !== undefined) {
    const onDevice = (verified: number) => onProgress({ phase: 'verify', verified })
    verdict = await verifyFleet({
      api,
      devices,
      workload,
      ledger,
      patienceMs: options.patienceMs,
      onProgress: onDevice,
    })
  }
  const kept = options.keep || (verdict !== undefined && !isClean(verdict))
  if (!kept) await remove(api, devices, onProgress)
  const { qos, inflight } = options
  return simulationReport({ qos, inflight, devices, seconds, run, sampler, verdict, kept })
}

async function remove(api: ApiClient, devices: readonly FleetDevice[], onProgress: SimulationContext['onProgress']) {
  onProgress({ phase: 'remove' })
  await removeFleet(api, devices)
}

/** Connects, sends and drains; resolves with the seconds of sending. */
async function drive(run: LoadRun, options: SimulationOptions, context: SimulationContext): Promise<number> {
  const { interruption, onProgress } = context
  let startedAt = performance.now()
  const elapsed = () => performance.now() - startedAt
  const tell = (phase: SimulationPhase) => {
    const { stats } = run
    const ratePerSecond = (stats.acknowledged * 1000) / elapsed()
    onProgress({ phase, stats, p99Ms: run.latency.percentile(0.99), ratePerSecond })
  }
  tell('connect')
  await connectAll(run, options, interruption)
  startedAt = performance.now()
  tell('send')
  run.start()
  while (elapsed() < options.durationMs && !run.exhausted && !interruption.aborted) {
    await pause(run, Math.min(LOOK_EVERY_MS, options.durationMs - elapsed()))
    tell('send')
  }
  run.stop()
  const seconds = elapsed() / 1000
  await drain(run, options.patienceMs, () => tell('drain'))
  return seconds
}

/** Waits, and fails as soon as the run does. */
async function pause(run: LoadRun, ms: number): Promise<void> {
  await Promise.race([delay(Math.max(1, ms)), run.failed])
}

/** Waits for what is in flight, as long as something comes. */
async function drain(run: LoadRun, patienceMs: number, tell: () => void): Promise<void> {
  let before = run.open
  let progressAt = performance.now()
  while (run.open > 0 && performance.now() - progressAt < patienceMs) {
    await pause(run, LOOK_EVERY_MS)
    tell()
    if (run.open < before) progressAt = performance.now()
    before = run.open
  }
}

/** Error: `command_failed` when a device is not connected within the patience, or the user is not that patient. */
async function connectAll(run: LoadRun, options: SimulationOptions, interruption: AbortSignal): Promise<void> {
  const { mqtt, devices, patienceMs } = options
  const late = () => {
    const count = `${run.stats.online} of ${devices} devices are connected`
    return `${count} to MQTT at ${mqtt.host}:${mqtt.port} after ${patienceMs / 1000} s (${run.lastTrouble ?? 'no answer'})`
  }
  const limit = AbortSignal.timeout(patienceMs)
  const early = () => 'interrupted before anything was sent'
  await Promise.race([run.connect(), failsOn(limit, late), failsOn(interruption, early)])
}

function failsOn(signal: AbortSignal, message: () => string): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new SluiceError('command_failed', message())), { once: true })
  })
}
