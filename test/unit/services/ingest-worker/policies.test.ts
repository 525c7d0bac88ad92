import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PolicyDocument } from '../../../../shared/policies/document.ts'
import { SluiceError } from '../../../../shared/errors.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { headersOf } from '../../../../shared/record.ts'
import type { IngestWorkerOptions } from '../../../../services/ingest-worker/worker.ts'
import { overriding } from '../../../../load-tests/reference/overriding.ts'
import { newestPolicy } from '../../../variants/newest-policy.ts'
import { World } from './harness.ts'

const T = 1_769_860_800_000

/** As a broker does: what is in force when the message comes is what its record names. */
async function publish(world: World, text: string, ms: number): Promise<void> {
  const topic = { tenant: 'demo', device: 'first', stream: 'telemetry' }
  const headers = headersOf(topic, 'first', 't/demo/first/telemetry', world.registry.policies)
  const value = Buffer.from(JSON.stringify({ ts: ms, a: text }))
  const record: LogRecord = { key: 'demo/first', value, ms, ns: 0, headers }
  await world.log.append('telemetry.raw', [record])
}

async function put(world: World, document: PolicyDocument): Promise<void> {
  const { policies } = world.registry
  const from = (await policies.read('demo'))?.revision ?? 0
  await policies.put({ scope: 'demo', document, from, who: 'test' })
}

/** By their times. */
function stored(world: World): unknown[] {
  const points = Array.from(world.points.visible, ([id, value]) => [Number(/@(\d+)/.exec(id)?.[1]), value] as const)
  return points.sort(([a], [b]) => a - b).map(([, value]) => value)
}

type Step = 'number' | 'text' | 'unset' | 'publish' | 'restart' | 'again'
const steps = fc.array(fc.constantFrom<Step[]>('number', 'text', 'unset', 'publish', 'publish', 'restart', 'again'), {
  maxLength: 25,
})

/** Over changes of the policy, restarts and records that are read again: each is as the policy said when it came. */
async function checkDecodedAlike(all: readonly Step[], wrong: boolean): Promise<void> {
  const world = new World()
  const registry = (): IngestWorkerOptions['registry'] =>
    wrong
      ? overriding(world.registry, { policies: newestPolicy(world.registry.policies, 'demo') as never })
      : world.registry
  let worker = await world.work({ registry: registry() })
  const expected: (number | string)[] = []
  let quotes: 'number' | 'text' = 'text'
  for (const step of all) {
    if (step === 'publish') {
      expected.push(quotes === 'number' ? expected.length : String(expected.length))
      await publish(world, String(expected.length - 1), T + expected.length)
    } else if (step === 'restart' || step === 'again') {
      await worker.close()
      // As after a kill: what was stored is stored, and is read again.
      if (step === 'again') world.log.committed.fill(0)
      worker = await world.work({ registry: registry() })
    } else {
      quotes = step === 'number' ? step : 'text'
      await put(world, step === 'unset' ? {} : { quoted_numbers: step })
    }
  }
  await world.settled()
  await worker.close()
  expect(stored(world)).toEqual(expected)
}

describe('policies', () => {
  it('that a record names decide, whatever is in force when it is read, and how often it is', async () => {
    await fc.assert(
      fc.asyncProperty(steps, (all) => checkDecodedAlike(all, false)),
      { numRuns: 20 },
    )
  })

  it('known-wrong: a worker that takes those in force is seen', async () => {
    await expect(checkDecodedAlike(['number', 'publish', 'restart', 'text', 'again'], true)).rejects.toThrow(
      'to deeply equal',
    )
  })

  it('that the registry does not know are waited for, and nothing is decoded without them', async () => {
    const world = new World()
    const { policies } = world.registry
    await put(world, { quoted_numbers: 'number' })
    await publish(world, '1', T)
    let answers: 'failing' | 'empty' | 'well' = 'failing'
    const find: typeof policies.find = async (ids) => {
      if (answers === 'failing') throw new SluiceError('registry_unavailable', 'the registry is away')
      return answers === 'empty' ? new Map() : policies.find(ids)
    }
    const worker = await world.work({ registry: overriding(world.registry, { policies: { find } as never }) })
    await expect.poll(() => worker.status().detail).toContain('registry_unavailable')
    answers = 'empty'
    await expect.poll(() => worker.status().detail, { timeout: 20_000 }).toContain('policy_unknown')
    expect(world.log.committed[0] ?? 0).toBe(0)
    answers = 'well'
    await world.settled()
    expect(stored(world)).toEqual([1])
  })
})
