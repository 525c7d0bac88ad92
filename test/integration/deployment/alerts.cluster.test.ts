import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
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

it('letters that grow are told, and those that come as ever are not', async () => {
  const promtool = await prometheusCommand('promtool')
  const file = join(tempFolder(), 'rules-test.json')
  const series = 'sluice_log_appended_records_total{topic="telemetry.dead-letter"}'
  // Ten minutes a step, a day and an hour of them, and then another hour.
  const tests = [
    ['0+10x150 3000+1x5', 1],
    ['0+10x156', 0],
    ['0x150 90x5', 0],
    ['0x150 300x5', 1],
    ['_x145 0x5 300x5', 1],
  ].map(([values, firing]) => {
    const exp_samples = firing === 1 ? [{ labels: '{}', value: 1 }] : []
    const asked = { expr: 'count(ALERTS{alertname="SluiceLettersGrow",alertstate="firing"})', eval_time: '1510m' }
    return { interval: '10m', input_series: [{ series, values }], promql_expr_test: [{ ...asked, exp_samples }] }
  })
  writeFileSync(file, JSON.stringify({ rule_files: [ALERT_RULES], evaluation_interval: '10m', tests }))
  expect((await promisify(execFile)(promtool, ['test', 'rules', file])).stdout).toContain('SUCCESS')
})
