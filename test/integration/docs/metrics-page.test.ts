import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { documentedMetrics, metricsFile, metricsPage } from '../../../docs/tools/metrics-page.ts'
import { thisBuild } from '../../../shared/process/version.ts'
import { startServer } from '../../e2e/server.ts'

it('docs/metrics.md is what `npm run docs:metrics` writes from the metrics that the processes register', async () => {
  expect(readFileSync(metricsFile, 'utf8')).toBe(await metricsPage())
})

it('what runs is told by the first line of the log, the status and the metrics, and what of its environment it ignores', async () => {
  const { url, token, log } = await startServer({ env: { MQTT_PROT: '1883', HTTP_PROXY: 'http://127.0.0.1:1' } })
  const { version, commit, node } = thisBuild()
  expect(JSON.parse(log().split('\n', 1)[0] ?? '')).toMatchObject({ msg: 'starting', version, node })
  const headers = { authorization: `Bearer ${token}` }
  const ignored = log()
    .split('\n')
    .filter((line) => line.includes('is ignored'))
  expect(ignored.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { level: 'warn', name: 'MQTT_PROT', reason: 'there is no such setting; was MQTT_PORT meant?' },
  ])
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text()
  expect(metrics).toContain(`sluice_build_info{version="${version}",node="${node}"} 1\n`)
  const status = await (await fetch(`${url}/v1/status`, { headers })).json()
  expect(status).toMatchObject({ version, commit: commit ?? null, node })
})

it('the one-process Sluice exposes the metrics that the page names', async () => {
  const { url } = await startServer({ env: { METRICS_FROM: '127.0.0.1' } })
  const text = await (await fetch(`${url}/metrics`)).text()
  const exposed = [...text.matchAll(/^# TYPE (sluice_\S+) /gm)].map(([, name]) => name)
  expect(exposed.sort()).toEqual(documentedMetrics(readFileSync(metricsFile, 'utf8'), 'standalone').sort())
})
