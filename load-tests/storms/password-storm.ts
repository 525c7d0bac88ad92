import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { constants, networkInterfaces, setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { registerFleet } from '../../services/cli/fleet.ts'
import { LatencyHistogram } from '../../services/cli/latency-histogram.ts'
import { LoadRun } from '../../services/cli/load-run.ts'
import { generatedWorkload } from '../../services/cli/workload.ts'
import type { Attack } from './password-attacker.ts'
import { startStormService } from './storm-service.ts'

export interface PasswordFigures {
  readonly wrongPasswords: number
  /** Of them, refused with a CONNACK; the others lost their connection. */
  readonly refused: number
  readonly letIn: number
  /** How long they took, in seconds. */
  readonly seconds: number
  /** From PUBLISH to PUBACK of the good clients, in milliseconds, without and with the wrong passwords. */
  readonly quietP99Ms: number
  readonly stormP99Ms: number
  readonly quietP50Ms: number
  readonly stormP50Ms: number
  /** Where the wrong passwords came from: loopback has no limits. */
  readonly from: string
}

const DEVICES = 100
const RATE = 1_000
/** Quiet and storm take turns, so that both meet the same machine. */
const ROUNDS = 2
/** So much of the time of a storm the quiet takes: many more readings than a p99 needs. */
const QUIET_SHARE = 0.4

/** Wrong passwords as fast as the broker takes them, and what they cost devices that send. */
export async function passwordStorm(options: { readonly attempts: number }): Promise<PasswordFigures> {
  const outside = outsideAddress()
  const service = await startStormService(outside === undefined ? {} : { BIND_ADDRESS: '0.0.0.0' })
  const attacker = fork(join(import.meta.dirname, 'password-attacker.ts'))
  giveWay(attacker.pid)
  try {
    const devices = await registerFleet(service.api, { tenant: 'storm', prefix: 'd', count: DEVICES })
    const [quiet, storm] = [new LatencyHistogram(), new LatencyHistogram()]
    let current: LatencyHistogram | undefined
    const run = new LoadRun({
      ...{ host: '127.0.0.1', port: service.mqttPort, devices, rate: RATE, qos: 1, inflight: 1 },
      workload: generatedWorkload({ seed: 1, startMs: Date.now(), stepUs: 1_000 }),
      onAcknowledged: (_device, _sequence, sentAt) => current?.add(performance.now() - sentAt),
    })
    await run.connect()
    run.start()
    await delay(2_000)
    const target = { host: outside ?? '127.0.0.1', port: service.mqttPort }
    const usernames = devices.map(({ username }) => username)
    const codes: (number | null)[] = []
    const attempts = Math.ceil(options.attempts / ROUNDS)
    let ms = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const startedAt = performance.now()
      current = storm
      attacker.send({ ...target, usernames, attempts, round } satisfies Attack)
      const [answered] = (await once(attacker, 'message')) as [(number | null)[]]
      codes.push(...answered)
      const took = performance.now() - startedAt
      ms += took
      current = undefined
      await delay(500)
      current = quiet
      await delay(took * QUIET_SHARE)
    }
    await run.close()
    return {
      wrongPasswords: codes.length,
      refused: codes.filter((code) => code !== null && code !== 0).length,
      letIn: codes.filter((code) => code === 0).length,
      seconds: round(ms / 1000),
      quietP99Ms: round(quiet.percentile(0.99)),
      stormP99Ms: round(storm.percentile(0.99)),
      quietP50Ms: round(quiet.percentile(0.5)),
      stormP50Ms: round(storm.percentile(0.5)),
      from: outside ?? 'loopback',
    }
  } finally {
    attacker.kill('SIGKILL')
    await service.stop()
  }
}

/** The attacker would be another machine: it runs when the broker and those who are measured have nothing to do. */
function giveWay(pid: number | undefined): void {
  if (pid === undefined) return
  const { status } = spawnSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(pid)])
  // Not Linux.
  if (status !== 0) setPriority(pid, constants.priority.PRIORITY_LOW)
}

/** An address of this machine for which the limits hold. */
function outsideAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
