import type { Commands, Session } from '../session.ts'

export function addStatus({ program, run }: Commands): void {
  program
    .command('status')
    .description('say whether Sluice runs and is ready, and where; exit code 1 when it is not')
    .action(run(showStatus))
}

async function showStatus(session: Session): Promise<0 | 1> {
  const { api } = session
  const [status, readiness] = await Promise.all([api.get<Record<string, unknown>>('/v1/status'), api.probe('/readyz')])
  const ready = readiness.status === 200
  session.result({ url: api.url.origin, ready, readiness: readiness.body, ...status }, () => {
    const values = Object.entries({ url: api.url.origin, ready: ready ? 'yes' : 'no', ...status }).filter(
      ([, value]) => value !== null,
    )
    const lines = values.map(([name, value]) => `${name.padEnd(10)} ${shown(value)}`)
    return [...lines, ...(ready ? [] : [`readyz     ${shown(readiness.body)}`])].join('\n')
  })
  return ready ? 0 : 1
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
