import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cachedBuild } from './cache-folder.ts'
import { requireTools } from './tools.ts'

const run = promisify(execFile)
/** Those that Home Assistant writes with. */
const PACKAGES = ['influxdb==5.3.1', 'influxdb-client==1.24.0']

/** InfluxDB's two libraries for Python, installed once; the folder for PYTHONPATH. */
export function installPythonWriters(): Promise<string> {
  return cachedBuild('influx-python-5.3.1-1.24.0', async (target) => {
    requireTools('The Python libraries of InfluxDB', ['python3'])
    await run('python3', ['-m', 'pip', 'install', '-q', '--target', target, ...PACKAGES])
  })
}
