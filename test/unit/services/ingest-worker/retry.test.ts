import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createIngestMetrics } from '../../../../services/ingest-worker/metrics.ts'
import { closed, Retry } from '../../../../services/ingest-worker/retry.ts'
import { SluiceError } from '../../../../shared/errors.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'

function open() {
  const ending = new AbortController()
  const registry = createMetrics({ defaults: false })
  const metrics = createIngestMetrics(registry)
  const retry = new Retry({ signal: ending.signal, logger: pino({ level: 'silent' }), ...metrics })
  const failing = async () => {
    const values = (await registry.getSingleMetric('sluice_ingest_failing')?.get())?.values ?? []
    return values.map(({ labels, value }) => `${labels['dependency']} ${labels['code']} ${value}`)
  }
  return { retry, failing, end: () => ending.abort(closed()) }
}

/** A step that fails until it is told to succeed; `met` resolves when it has failed. */
function step(code: 'store_unauthorised' | 'store_unavailable') {
  let works = false
  const met = Promise.withResolvers<void>()
  return {
    met: met.promise,
    succeed: () => void (works = true),
    async attempt() {
      if (works) return
      setImmediate(met.resolve)
      throw new SluiceError(code, 'no')
    },
  }
}

it('what works in one step does not solve what fails in another on the same dependency', async () => {
  const { retry, failing, end } = open()
  onTestFinished(end)
  const write = step('store_unauthorised')
  const writing = retry.run('points', write.attempt)
  await write.met
  await retry.run('points', async () => undefined)
  expect(retry.problem()).toBe('points: store_unauthorised: no')
  expect(await failing()).toEqual(['points store_unauthorised 1'])
  write.succeed()
  await writing
  expect(retry.problem()).toBeUndefined()
  expect(await failing()).toEqual([])
})

it('the same trouble of two steps is told once, and is over when both are', async () => {
  const { retry, failing, end } = open()
  onTestFinished(end)
  const steps = [step('store_unavailable'), step('store_unavailable')]
  const running = steps.map(({ attempt }) => retry.run('points', attempt))
  await Promise.all(steps.map(({ met }) => met))
  expect(retry.problem()).toBe('points: store_unavailable: no')
  steps[0]?.succeed()
  await running[0]
  expect(await failing()).toEqual(['points store_unavailable 1'])
  steps[1]?.succeed()
  await running[1]
  expect(await failing()).toEqual([])
})
