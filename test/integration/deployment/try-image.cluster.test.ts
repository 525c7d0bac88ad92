import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { root } from './compose-file.ts'

const LIMIT_MS = 300_000

/** Runs the steps of a Dockerfile in an empty folder and starts the result. */
function tryImage(dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')) {
  const file = join(tempFolder(), 'Dockerfile')
  writeFileSync(file, dockerfile)
  const script = join(root, 'config/compose/try-image.sh')
  return spawnSync('bash', [script, '--dockerfile', file], { encoding: 'utf8' })
}

/** A wrong Dockerfile. */
function variant(...changes: readonly (readonly [string, string])[]): string {
  return changes.reduce(
    (text, [from, to]) => {
      expect(text).toContain(from)
      return text.replace(from, to)
    },
    readFileSync(join(root, 'Dockerfile'), 'utf8'),
  )
}

const install = 'npm ci --omit=dev --no-audit --no-fund'

describe('what the Dockerfile would put into the image', { timeout: LIMIT_MS }, () => {
  it('is enough for every entry point, without development dependencies and as a user who may not write', () => {
    const { status, stdout, stderr } = tryImage()
    expect(status, stderr).toBe(0)
    expect(stdout.split('\n').map((line) => line.replace(/\d+ MB/, 'n MB'))).toEqual([
      'loads    services/broker/main.ts',
      'loads    services/ingest-worker/main.ts',
      'loads    services/query-api/main.ts',
      'loads    config/compose/influx-tokens.ts',
      'helps    services/cli/main.ts --help',
      'healthy  services/cli/main.ts up',
      'stops    on SIGTERM',
      'size     n MB without Node',
      '',
    ])
  })

  it('is not enough without a folder that is used', () => {
    const { status, stderr } = tryImage(variant([install, 'mkdir node_modules'], ['COPY shared shared\n', '']))
    expect(stderr).toContain('ERR_MODULE_NOT_FOUND')
    expect(stderr).toContain('/app/shared/')
    expect(status).toBe(1)
  })

  it('is not enough without the dependencies', () => {
    const { status, stderr } = tryImage(variant([install, 'mkdir node_modules']))
    expect(stderr).toContain('ERR_MODULE_NOT_FOUND')
    expect(status).toBe(1)
  })

  it('is too much with a development dependency', () => {
    const { status, stderr } = tryImage(variant([install, 'mkdir -p node_modules/typescript']))
    expect(stderr).toContain('the image holds the development dependency node_modules/typescript')
    expect(status).toBe(1)
  })

  it('is not tried when a step is not understood', () => {
    const { status, stderr } = tryImage(variant(['WORKDIR /app\n', 'ADD x y\n']))
    expect(stderr).toContain('cannot run ADD')
    expect(status).toBe(1)
  })

  it('is not tried when a step would leave its folder', () => {
    const { status, stderr } = tryImage(variant([install, 'mkdir -p /srv/sluice']))
    expect(stderr).toContain('would leave the folder')
    expect(status).toBe(1)
  })
})
