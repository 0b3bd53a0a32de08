/** What stands on a map's page; `.served` needs a server that has the files, `.alone` a page without one. */
export const PAGE = `
<p id="said" role="status"></p>
<main hidden>
  <div class="stage">
    <canvas aria-label="The map: each point is a file"></canvas>
    <div id="pin" aria-hidden="true" hidden><i></i><span></span></div>
    <div id="tip" role="tooltip" hidden></div>
    <div id="drop" class="drop" hidden><p>Let go to see where it lies</p></div>
  </div>
  <aside aria-label="Files">
    <h1 class="alone"></h1>
    <div class="tools">
      <label id="colour">Colour <select></select></label>
      <button type="button" id="lasso" aria-pressed="false" title="Draw around points (or hold Shift and draw)">Lasso</button>
      <button type="button" id="all" title="Show all of the map">All</button>
      <label class="place served">Place a file <input id="place" type="file" accept=".mid,.midi,audio/midi" /></label>
    </div>
    <div id="legend" role="group" aria-label="Colours; a click hides one"></div>
    <section id="file" hidden>
      <header><h2></h2><button type="button" id="prompt" class="served" title="All of it, in the studio">Use as prompt</button></header>
      <p id="facts"></p><p id="name"></p><p id="heard" role="status"></p><div id="music"></div>
      <h3>Most like it</h3>
      <p id="how">By the vectors of whole pieces, as <code>partimento library find</code> names them: not what is closest on the map.</p>
      <ol id="near"></ol>
    </section>
    <label class="search">Find <input type="search" autocomplete="off" /></label>
    <section id="listed" hidden><p><span id="count" role="status"></span> <button type="button" id="save">Save names</button></p><ol id="list"></ol></section>
    <p id="about"></p>
  </aside>
</main>`;
