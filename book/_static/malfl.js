// What the theme leaves out for those who read by keyboard or by ear.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll(".bd-links summary")) {
    summary.setAttribute("aria-label", "Pages below");
  }
  const scrolling = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  const wide = ".cell_output, .pst-scrollable-table-container, .dt-layout-table, pre, div.math";
  for (const box of document.querySelectorAll(wide)) scrolling.observe(box);
});
