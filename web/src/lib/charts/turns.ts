/** Spreads the drawing of many charts over several frames, so that the page answers between them. */

// About what a machine without a graphics card draws in one frame; one chart is never cut.
const POINTS_A_FRAME = 16_000;

interface Turn {
  points: number;
  draw: () => void;
}

const waiting = new Map<object, Turn>();
let frame = 0;

/** Draw in the next frame with room for this many points; a later call for the same chart replaces an earlier one. */
export function drawInTurn(chart: object, points: number, draw: () => void): void {
  waiting.set(chart, { points, draw });
  frame ||= requestAnimationFrame(takeTurns);
}

export function leaveTurn(chart: object): void {
  waiting.delete(chart);
}

function takeTurns(): void {
  let room = POINTS_A_FRAME;
  for (const [chart, turn] of waiting) {
    waiting.delete(chart);
    turn.draw();
    room -= turn.points;
    if (room <= 0) break;
  }
  frame = waiting.size > 0 ? requestAnimationFrame(takeTurns) : 0;
}
