// Loaded before a gateway that is measured: keeps the longest time its event loop stood still in the file `lag`
// of the working folder, ms; begins anew when that file is gone.
import { existsSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 1
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
setInterval(() => {
  if (!existsSync('lag')) delay.reset()
  writeFileSync('lag', String(Math.max(0, delay.max / 1e6 - RESOLUTION_MS)))
}, 100).unref()
