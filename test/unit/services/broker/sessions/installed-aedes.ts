import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { AedesOptions } from 'aedes'
import { internalsOf, LiveAedes } from '../../../../../services/broker/sessions/aedes-internals.ts'
import { AedesStream, type AedesPacket } from '../../../../../services/broker/sessions/aedes-stream.ts'
import { SessionEmitter } from '../../../../../services/broker/sessions/session-emitter.ts'
import { ROOT } from '../../../../sources.ts'

/** The package.json of an installed package, or ours. */
export function manifestOf(name: string): { version: string; dependencies: Record<string, string> } {
  const text = readFileSync(join(ROOT, name === '' ? '' : `node_modules/${name}`, 'package.json'), 'utf8')
  return JSON.parse(text) as { version: string; dependencies: Record<string, string> }
}

/** The methods that aedes' own code calls on a member of the broker. */
export function calledOn(member: string): string[] {
  const folder = join(ROOT, 'node_modules/aedes')
  const files = [
    'aedes.js',
    ...readdirSync(join(folder, 'lib'), { recursive: true, encoding: 'utf8' }).map((it) => `lib/${it}`),
  ]
  const code = files.filter((it) => it.endsWith('.js')).map((it) => readFileSync(join(folder, it), 'utf8'))
  const calls = code.flatMap((text) => [...text.matchAll(new RegExp(`\\b${member}\\??\\.(\\w+)\\(`, 'g'))])
  return [...new Set(calls.map((match) => match[1] ?? ''))].sort()
}

/** As many turns of the event loop as aedes takes for any packet. */
export async function turn(): Promise<void> {
  for (let left = 0; left < 20; left += 1) await setImmediate()
}

/** An aedes on its memory, and a way to connect clients to it. */
export async function start(options: AedesOptions = {}) {
  const aedes = new LiveAedes({ concurrency: 0, mq: new SessionEmitter(), ...options })
  await aedes.listen()
  onTestFinished(() => new Promise<void>((resolve) => aedes.close(resolve)))
  const connect = async (connectPacket: Buffer) => {
    const written: AedesPacket[] = []
    const stream = new AedesStream(
      {
        principal: { kind: 'device', name: 'a/1', tenant: 'a', device: '1', uid: '1' },
        unsentBytes: 0,
        forwards: () => undefined,
        subscribed: () => undefined,
        isOverQuota: () => undefined,
        releasesNothing: () => undefined,
        packetsFromAedes: (packets, _bytes, taken) => (written.push(...packets), taken()),
      },
      { ready: () => undefined, aedesMoved: () => undefined, aedesClosed: () => undefined },
    )
    const client = internalsOf(aedes.handle(stream))
    stream.deliver(connectPacket)
    await turn()
    return { client, stream, written }
  }
  return { aedes, connect }
}
