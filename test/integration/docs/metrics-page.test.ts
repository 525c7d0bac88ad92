import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { documentedMetrics, metricsFile, metricsPage } from '../../../docs/tools/metrics-page.ts'
import { startServer } from '../../e2e/server.ts'

it('docs/metrics.md is what `npm run docs:metrics` writes from the metrics that the processes register', async () => {
  expect(readFileSync(metricsFile, 'utf8')).toBe(await metricsPage())
})

it('the one-process Sluice exposes the metrics that the page names', async () => {
  const { url } = await startServer()
  const text = await (await fetch(`${url}/metrics`)).text()
  const exposed = [...text.matchAll(/^# TYPE (sluice_\S+) /gm)].map(([, name]) => name)
  expect(exposed.sort()).toEqual(documentedMetrics(readFileSync(metricsFile, 'utf8'), 'standalone').sort())
})
