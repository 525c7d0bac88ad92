import { fork, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { constants, networkInterfaces, setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { registerFleet } from '../../services/simulator/fleet.ts'
import { LatencyHistogram } from '../../services/simulator/latency-histogram.ts'
import { LoadRun } from '../../services/simulator/load-run.ts'
import { generatedWorkload } from '../../services/simulator/workload.ts'
import type { Attack } from './password-attacker.ts'
import type { StandInReady } from './stand-in.ts'
import { startStormService } from './storm-service.ts'

export interface PasswordFigures {
  readonly wrongPasswords: number
  /** Of them, refused with a CONNACK; the others lost their connection. */
  readonly refused: number
  readonly letIn: number
  /** How long they took, in seconds. */
  readonly seconds: number
  /** From PUBLISH to PUBACK of the good clients, in milliseconds: when nobody guesses, */
  readonly quietP50Ms: number
  readonly quietP99Ms: number
  /** when the same attacker guesses elsewhere on this machine, which is what it costs to have it here, */
  readonly elsewhereP50Ms: number
  readonly elsewhereP99Ms: number
  /** and when it guesses at the broker. */
  readonly stormP50Ms: number
  readonly stormP99Ms: number
  /** Where the wrong passwords came from: loopback has no limits. */
  readonly from: string
}

/** Connections of a storm are closed, and a fleet that has just connected sends. */
const SETTLING_MS = 2_000
const DEVICES = 100
const RATE = 1_000
/** The three take turns, so that all meet the same machine. */
const ROUNDS = 2
/** Of the time of a storm: many more readings than a p99 needs. */
const QUIET_SHARE = 0.4
/** Of the attempts. */
const ELSEWHERE_SHARE = 0.5

/** Wrong passwords as fast as the broker takes them, and what they cost devices that send. */
export async function passwordStorm(options: { readonly attempts: number }): Promise<PasswordFigures> {
  const outside = outsideAddress()
  const host = outside ?? '127.0.0.1'
  const service = await startStormService(outside === undefined ? {} : { BIND_ADDRESS: '0.0.0.0' })
  const attacker = inBackground(fork(join(import.meta.dirname, 'password-attacker.ts')))
  const standIn = inBackground(fork(join(import.meta.dirname, 'stand-in.ts')))
  try {
    const [{ port: standInPort }] = (await once(standIn, 'message')) as [StandInReady]
    const devices = await registerFleet(service.api, { tenant: 'storm', prefix: 'd', count: DEVICES })
    const [quiet, elsewhere, storm] = [new LatencyHistogram(), new LatencyHistogram(), new LatencyHistogram()]
    let current: LatencyHistogram | undefined
    const run = new LoadRun({
      ...{ host: '127.0.0.1', port: service.mqttPort, devices, rate: RATE, qos: 1, inflight: 1 },
      workload: generatedWorkload({ seed: 1, startMs: Date.now(), stepUs: 1_000 }),
      onAcknowledged: (_device, _sequence, sentAt) => current?.add(performance.now() - sentAt),
    })
    await run.connect()
    run.start()
    await delay(SETTLING_MS)
    const usernames = devices.map(({ username }) => username)
    const attack = async (into: LatencyHistogram, port: number, attempts: number, round: number) => {
      current = into
      attacker.send({ host, port, usernames, attempts: Math.ceil(attempts), round } satisfies Attack)
      const [codes] = (await once(attacker, 'message')) as [(number | null)[]]
      current = undefined
      await delay(SETTLING_MS)
      return codes
    }
    const codes: (number | null)[] = []
    const attempts = options.attempts / ROUNDS
    let ms = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const startedAt = performance.now()
      codes.push(...(await attack(storm, service.mqttPort, attempts, round)))
      const took = performance.now() - startedAt - SETTLING_MS
      ms += took
      current = quiet
      await delay(took * QUIET_SHARE)
      await attack(elsewhere, standInPort, attempts * ELSEWHERE_SHARE, round)
    }
    await run.close()
    return {
      wrongPasswords: codes.length,
      refused: codes.filter((code) => code !== null && code !== 0).length,
      letIn: codes.filter((code) => code === 0).length,
      seconds: rounded(ms / 1000),
      quietP50Ms: rounded(quiet.percentile(0.5)),
      quietP99Ms: rounded(quiet.percentile(0.99)),
      elsewhereP50Ms: rounded(elsewhere.percentile(0.5)),
      elsewhereP99Ms: rounded(elsewhere.percentile(0.99)),
      stormP50Ms: rounded(storm.percentile(0.5)),
      stormP99Ms: rounded(storm.percentile(0.99)),
      from: outside ?? 'loopback',
    }
  } finally {
    attacker.kill('SIGKILL')
    standIn.kill('SIGKILL')
    await service.stop()
  }
}

/** A process that would be on another machine: it runs when the broker and those who are measured have nothing to do. */
function inBackground(child: ChildProcess): ChildProcess {
  if (child.pid === undefined) return child
  const { status } = spawnSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(child.pid)])
  // Not Linux.
  if (status !== 0) setPriority(child.pid, constants.priority.PRIORITY_LOW)
  return child
}

/** An address of this machine for which the limits hold. */
function outsideAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
