import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { documentedMetrics, metricsFile } from '../../../docs/tools/metrics-page.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const deployment = useServers()

// The page is made without servers (docs/tools/process-metrics.ts): this is what the processes expose with them.
it('each process of a cluster exposes what docs/metrics.md says', { timeout: LIMIT_MS }, async () => {
  const page = readFileSync(metricsFile, 'utf8')
  const cluster = await deployment.clusterFor('metrics', { workers: 1 })
  const members = { broker: cluster.broker, 'ingest-worker': cluster.workers[0], 'query-api': cluster.api } as const
  for (const process of ['broker', 'ingest-worker', 'query-api'] as const) {
    const response = await fetch(`http://127.0.0.1:${members[process]?.ready.operations}/metrics`)
    const exposed = [...(await response.text()).matchAll(/^# TYPE (sluice_\S+) /gm)].map(([, name]) => name)
    expect(exposed.sort(), process).toEqual(documentedMetrics(page, process).sort())
  }
})
