import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { ALERT_RULES, prometheusCommand } from '../../../load-tests/servers/prometheus.ts'

it('the alerts are rules of Prometheus, of metrics that there are, and the docs have each', async () => {
  const promtool = await prometheusCommand('promtool')
  expect((await promisify(execFile)(promtool, ['check', 'rules', ALERT_RULES])).stdout).toContain('SUCCESS')
  const rules = readFileSync(ALERT_RULES, 'utf8')
  const page = (name: string) => readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8')
  const metrics = new Set(rules.match(/\bsluice_\w+/g))
  expect(metrics.size).toBeGreaterThan(5)
  expect([...metrics].filter((metric) => !page('metrics').includes(`\`${metric}\``))).toEqual([])
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name)
  expect(alerts.filter((alert) => !page('deploy').includes(`\`${alert}\``))).toEqual([])
})
